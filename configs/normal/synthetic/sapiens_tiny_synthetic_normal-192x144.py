# A trial on rendered people, in minutes on a CPU: see mmsapiens demo normal.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_from_scratch.py",
    "../../_base_/models/normal.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/normal_general.py",
]
input_size_hw = (192, 144)
model = dict(backbone=dict(patch_cfg=dict(padding=2)))

# Rendered people are upright, and their colours mean something: little is changed.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadMask"),
    dict(type="LoadNormal"),
    dict(type="RandomResize", ratio_range=(0.95, 1.05)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="GenerateNormalTarget"),
    dict(type="PackInputs"),
]
data = dict(
    data_root="{{$DATA_ROOT:data}}/synthetic_normal",
    val_ratio=0.15,
    axes="x right, y down, z away",
)
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, num_workers=1, dataset=data)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=7, val_interval=7)
