# The release's pretraining: AdamW, lr 1.5e-4 a 256 images, 40 epochs of warm-up, then a cosine to
# 0, both by iteration. The release's step has 4096 images.
max_epochs = 1600
warmup_epochs = 40
optim_wrapper = dict(
    type="AutocastOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(type="AdamW", lr=1.5e-4, betas=(0.9, 0.95), weight_decay=0.05),
    # All layers learn alike. Vectors, biases and positions never decay; nor do these two.
    constructor="LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(
        layer_decay_rate=1.0,
        custom_keys=dict(cls_token=dict(decay_mult=0.0), mask_token=dict(decay_mult=0.0)),
    ),
    clip_grad=dict(max_norm=1.0),
)
# Multiplies lr by processes x batch_size x accumulative_counts / 256.
auto_scale_lr = dict(enable=True, base_batch_size=256)
param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=1e-4,
        begin=0,
        end=warmup_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type="CosineAnnealingLR",
        eta_min=0.0,
        begin=warmup_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type="ResumableTrainLoop", max_epochs=max_epochs)
