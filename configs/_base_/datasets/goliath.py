# 28 body parts in images/ and segmentations/; 2 % are held out for evaluation.
_base_ = ["./face.py"]
class_weight = [
    0.1, 10, 3, 2, 4, 4, 2, 2, 6, 10, 3, 3, 1, 4, 4, 2, 2, 6, 10, 3, 3, 1, 1, 10, 10, 10, 10, 10,
]  # fmt: skip
model = dict(decode_head=dict(num_classes=28, loss_decode=dict(class_weight=class_weight)))
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadLabels"),
    # Photographs without people. Take the line out to do without.
    dict(type="RandomBackground", prob=0.8, root="{{$DATA_ROOT:data}}/backgrounds"),
    dict(type="RandomResize", ratio_range=(0.2, 2.0)),
    dict(type="RandomCrop", cat_max_ratio=0.75),
    dict(type="Resize"),
    dict(type="RandomRotate", prob=0.5, degree=45),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackInputs"),
]
data = dict(type="GoliathDataset", data_root="{{$DATA_ROOT:data}}/goliath")
train_dataloader = dict(dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
