# As adamw_layer_decay_poly, with a cosine in place of the linear decay.
_base_ = ["./adamw_layer_decay_poly.py"]
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=400, by_epoch=False),
    dict(type="CosineAnnealingLR", eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
