# A trial on rendered people: see mmsapiens demo normal.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/models/normal.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/datasets/normal_general.py",
    "../../_base_/trial.py",
]
model = dict(backbone=dict(patch_cfg=dict(padding=2)))
data_root = "{{$DATA_ROOT:data}}/synthetic_normal"
data = dict(val_ratio=0.15, axes="x right, y down, z away")
