# A trial on rendered people, in minutes on a CPU: see mmsapiens demo depth.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_from_scratch.py",
    "../../_base_/models/depth.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/depth_general.py",
]
input_size_hw = (192, 144)
# A higher floor: a hundredth of a person's depth more or less is not what a few epochs learn first.
model = dict(decode_head=dict(loss_decode=dict(floor=0.25)))

# Rendered people are upright, and their colours mean something: little is changed.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadMask"),
    dict(type="LoadDepth"),
    dict(type="RandomResize", ratio_range=(0.95, 1.05)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="GenerateDepthTarget"),
    dict(type="PackInputs"),
]
data = dict(data_root="{{$DATA_ROOT:data}}/synthetic_depth", val_ratio=0.15)
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, num_workers=1, dataset=data)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=6e-4))
train_cfg = dict(max_epochs=10, val_interval=10)
