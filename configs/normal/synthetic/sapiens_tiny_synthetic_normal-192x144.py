# A trial on rendered people (tools/make_synthetic_data.py normal): minutes on a CPU.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_poly.py",
    "../../_base_/models/normal_tiny.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/normal_general.py",
]
input_size_hw = (192, 144)
max_epochs = 16
model = dict(backbone=dict(patch_cfg=dict(padding=2)))

# Rendered people are all of one size; mild resizing and turning suit a short training.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadMask"),
    dict(type="LoadNormal"),
    dict(type="RandomResize", ratio_range=(0.8, 1.25)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomRotate", prob=0.5, degree=20),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="GenerateNormalTarget"),
    dict(type="PhotoMetricDistortion"),
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

# From scratch: all layers learn at the same rate.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=1.0), optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, begin=0, end=50, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0, begin=0, end=max_epochs, by_epoch=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=8)
