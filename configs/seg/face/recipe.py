_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_poly.py",
    "../../_base_/models/parts.py",
    "../../_base_/datasets/face.py",
]
model = dict(decode_head=dict(num_classes=19))
