# LIP's 20 labels on rendered people (tools/make_synthetic_data.py lip DIR --num-val 100).
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_cosine.py",
    "../../_base_/models/parts_tiny.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/lip.py",
]
input_size_hw = (192, 144)
model = dict(backbone=dict(patch_cfg=dict(padding=2)))

data = dict(data_root="{{$DATA_ROOT:data}}/synthetic_lip")
train_dataloader = dict(batch_size=8, num_workers=1, dataset=data)
val_dataloader = dict(batch_size=8, num_workers=1, dataset=data)
test_dataloader = val_dataloader

# From scratch: all layers learn at the same rate.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=1.0), optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, begin=0, end=50, by_epoch=False),
    dict(type="CosineAnnealingLR", eta_min=0, by_epoch=True),
]
train_cfg = dict(max_epochs=16, val_interval=8)
