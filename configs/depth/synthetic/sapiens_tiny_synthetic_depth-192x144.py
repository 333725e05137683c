# A trial on rendered people: see mmsapiens demo depth.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/models/depth.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/datasets/depth_general.py",
    "../../_base_/trial.py",
]
# A higher floor: a hundredth of a person's depth more or less is not what a few epochs learn first.
model = dict(decode_head=dict(loss_decode=dict(floor=0.25)))
data_root = "{{$DATA_ROOT:data}}/synthetic_depth"
data = dict(val_ratio=0.15)
optim_wrapper = dict(optimizer=dict(lr=6e-4))
max_epochs = 10
