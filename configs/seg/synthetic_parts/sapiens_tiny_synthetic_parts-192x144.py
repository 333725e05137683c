# A trial on rendered people: see mmsapiens demo parts.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/models/parts.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/datasets/goliath.py",
    "../../_base_/trial.py",
]
# The release's weights suit its many epochs; in a few, they keep the background from being learnt.
class_weight = [
    0.5, 1, 1, 1, 3, 2, 2, 2, 2, 2, 2, 2, 1, 3, 2, 2, 2, 2, 2, 2, 2, 1, 1, 2, 2, 3, 3, 3,
]  # fmt: skip
loading = [dict(type="LoadImage"), dict(type="LoadLabels")]
data_root = "{{$DATA_ROOT:data}}/synthetic_parts"
data = dict(val_ratio=0.15)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
