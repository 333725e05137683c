# For sapiens_tiny and a few hundred iterations: all layers learn at the same, higher rate.
_base_ = ["./adamw_layer_decay_poly.py"]
optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay_rate=1.0), optimizer=dict(lr=1e-3, betas=(0.9, 0.95))
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, begin=0, end=50, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
