# The release's finetuning of dense tasks: AdamW, layer-wise decay, 400 iterations of warm-up times
# a linear decay over 200 epochs.
max_epochs = 200
optim_wrapper = dict(
    type="AutocastOptimWrapper",
    dtype="bfloat16",
    constructor="LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.85),
    optimizer=dict(type="AdamW", lr=5e-4, betas=(0.9, 0.999), weight_decay=0.1),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, begin=0, end=400, by_epoch=False),
    # By iteration, down to 0 behind the last one: by epoch, the whole last one would have that.
    dict(type="PolyLR", power=1.0, eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(type="ResumableTrainLoop", max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
