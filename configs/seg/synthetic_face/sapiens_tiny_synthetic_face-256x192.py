# A trial of the whole chain on rendered faces (tools/make_synthetic_data.py face): minutes on a
# CPU.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_poly.py",
    "../../_base_/models/parts_tiny.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/face.py",
]
input_size_hw = (256, 192)
max_epochs = 10
data = dict(data_root="{{$DATA_ROOT:data}}/synthetic_face", val_ratio=0.15)

model = dict(decode_head=dict(num_classes=19))
train_dataloader = dict(batch_size=8, num_workers=1, dataset=data)
val_dataloader = dict(batch_size=8, num_workers=1, dataset=data)
test_dataloader = val_dataloader

# From scratch: all layers learn at the same rate.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=1.0), optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, begin=0, end=50, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0, begin=0, end=max_epochs, by_epoch=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
custom_hooks = [
    dict(type="PicturesHook", num_samples=4, train_interval=200),
    dict(type="ProgressHook"),
]
