# 28 body parts in images/ and segmentations/; 2 % are held out for evaluation.
_base_ = ["./parts.py"]
class_weight = [
    0.1, 10, 3, 2, 4, 4, 2, 2, 6, 10, 3, 3, 1, 4, 4, 2, 2, 6, 10, 3, 3, 1, 1, 10, 10, 10, 10, 10,
]  # fmt: skip
model = dict(decode_head=dict(num_classes=28, loss_decode=dict(class_weight=class_weight)))
loading = [
    dict(type="LoadImage"),
    dict(type="LoadLabels"),
    # Photographs without people. Take the line out to do without.
    dict(type="RandomBackground", prob=0.8, root="{{$DATA_ROOT:data}}/backgrounds"),
]
data_root = "{{$DATA_ROOT:data}}/goliath"
data = dict(type="GoliathDataset", data_root=data_root, val_ratio=0.02)
