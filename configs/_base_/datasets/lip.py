# Look Into Person: 20 labels, with folders for training and validation.
_base_ = ["./parts.py"]
class_weight = [
    0.1, 1.5, 1.0, 1.5, 1.5, 0.8, 1.2, 1.0, 1.5, 0.8, 1.2, 1.5, 1.5, 0.7, 1.0, 1.0, 1.0, 1.0, 1.5,
    1.5,
]  # fmt: skip
model = dict(decode_head=dict(num_classes=20, loss_decode=dict(class_weight=class_weight)))
scale_range = (0.75, 1.25)
data_root = "{{$DATA_ROOT:data}}/lip"
data = dict(type="LIPDataset", data_root=data_root)
