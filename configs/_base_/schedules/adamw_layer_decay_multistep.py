# The release's training of pose: as adamw_layer_decay_poly, with 500 iterations of warm-up, and 210
# epochs with two steps down. The release's step has 512 people.
_base_ = ["./adamw_layer_decay_poly.py"]
max_epochs = 210
# If enabled, multiplies lr by processes x batch_size x accumulative_counts / 512.
auto_scale_lr = dict(enable=False, base_batch_size=512)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=500, by_epoch=False),
    dict(type="MultiStepLR", milestones=[170, 200], gamma=0.1, by_epoch=True),
]
