# For trials and tests: trains on a CPU in minutes, from scratch.
model = dict(
    backbone=dict(
        type="pretrain.VisionTransformer",
        arch="sapiens_tiny",
        with_cls_token=False,
        out_type="featmap",
        pos_embed_init="sincos",
    )
)
