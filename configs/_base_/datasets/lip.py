# Look Into Person: 20 labels, with folders for training and validation.
_base_ = ["./face.py"]
class_weight = [
    0.1, 1.5, 1.0, 1.5, 1.5, 0.8, 1.2, 1.0, 1.5, 0.8, 1.2, 1.5, 1.5, 0.7, 1.0, 1.0, 1.0, 1.0, 1.5,
    1.5,
]  # fmt: skip
model = dict(decode_head=dict(num_classes=20, loss_decode=dict(class_weight=class_weight)))
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadLabels"),
    dict(type="RandomResize", ratio_range=(0.75, 1.25)),
    dict(type="RandomCrop", cat_max_ratio=0.75),
    dict(type="Resize"),
    dict(type="RandomRotate", prob=0.5, degree=45),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackInputs"),
]
data = dict(_delete_=True, type="LIPDataset", data_root="{{$DATA_ROOT:data}}/lip")
train_dataloader = dict(dataset=dict(**data, split="train", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**data, split="val", pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
