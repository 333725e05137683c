# A trial of the whole chain on rendered people, in minutes on a CPU: see mmsapiens demo parts.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_from_scratch.py",
    "../../_base_/models/parts.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/goliath.py",
]
input_size_hw = (192, 144)

# The release's weights suit its many epochs; in a few, they keep the background from being learnt.
class_weight = [
    0.5, 1, 1, 1, 3, 2, 2, 2, 2, 2, 2, 2, 1, 3, 2, 2, 2, 2, 2, 2, 2, 1, 1, 2, 2, 3, 3, 3,
]  # fmt: skip
model = dict(decode_head=dict(loss_decode=dict(class_weight=class_weight)))

# Rendered people are upright, and their colours mean something: little is changed.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadLabels"),
    dict(type="RandomResize", ratio_range=(0.95, 1.05)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="PackInputs"),
]
data = dict(data_root="{{$DATA_ROOT:data}}/synthetic_parts", val_ratio=0.15)
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, num_workers=1, dataset=data)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_epochs=7, val_interval=7)
