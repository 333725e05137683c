# A trial of the whole chain on rendered people (tools/make_synthetic_data.py goliath): minutes on a
# CPU.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_poly.py",
    "../../_base_/models/parts_tiny.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/goliath.py",
]
input_size_hw = (192, 144)

# The release's weights suit its many epochs; in a few, they keep the background from being learnt.
class_weight = [
    0.5, 1, 1, 1, 3, 2, 2, 2, 2, 2, 2, 2, 1, 3, 2, 2, 2, 2, 2, 2, 2, 1, 1, 2, 2, 3, 3, 3,
]  # fmt: skip
model = dict(decode_head=dict(loss_decode=dict(class_weight=class_weight)))

# Mild resizing and turning suit a short training.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadLabels"),
    dict(type="RandomResize", ratio_range=(0.9, 1.25)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomRotate", prob=0.5, degree=10),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackInputs"),
]
data = dict(data_root="{{$DATA_ROOT:data}}/synthetic_parts", val_ratio=0.15)
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, num_workers=1, dataset=data)
test_dataloader = val_dataloader

# From scratch: all layers learn at the same rate.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=1.0), optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, begin=0, end=50, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0, by_epoch=True),
]
train_cfg = dict(max_epochs=16, val_interval=8)
