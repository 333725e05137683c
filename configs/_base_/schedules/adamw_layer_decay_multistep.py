# The release's training of pose: AdamW, layer-wise decay, 500 iterations of warm-up, 210 epochs
# with two steps down. The release's step has 512 people.
max_epochs = 210
optim_wrapper = dict(
    type="AutocastOptimWrapper",
    dtype="bfloat16",
    constructor="LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.85),
    optimizer=dict(type="AdamW", lr=5e-4, betas=(0.9, 0.999), weight_decay=0.1),
    clip_grad=dict(max_norm=1.0),
)
# If enabled, multiplies lr by processes x batch_size x accumulative_counts / 512.
auto_scale_lr = dict(enable=False, base_batch_size=512)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=500, by_epoch=False),
    dict(type="MultiStepLR", milestones=[170, 200], gamma=0.1, end=max_epochs, by_epoch=True),
]
train_cfg = dict(type="ResumableTrainLoop", max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
