# Masked autoencoding. The leaf gives the backbone's arch.
default_scope = "pretrain"
model = dict(
    type="MAE",
    data_preprocessor=dict(type="DataPreprocessor"),
    # Checkpointing trades a third more time for several times the batch.
    backbone=dict(type="MAEViT", mask_ratio=0.75, activation_checkpointing=True),
    neck=dict(
        type="MAEPretrainDecoder",
        decoder_embed_dim=512,
        decoder_depth=8,
        decoder_num_heads=16,
        activation_checkpointing=True,
    ),
    # norm_pix=False gives a worse backbone, and prettier pictures.
    head=dict(
        type="MAEPretrainHead",
        norm_pix=True,
        loss=dict(type="PixelReconstructionLoss", criterion="L2"),
    ),
)
visualizer = dict(
    type="MAEVisualizer",
    vis_backends=[dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")],
)
default_hooks = dict(checkpoint=dict(interval=5, save_best=None))
custom_hooks = [
    dict(type="PicturesHook", num_samples=8, train_interval=500),
    dict(type="ProgressHook"),
]
