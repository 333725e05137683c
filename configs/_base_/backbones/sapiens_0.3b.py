model = dict(
    backbone=dict(
        type="pretrain.VisionTransformer",
        arch="sapiens_0.3b",
        with_cls_token=False,
        out_type="featmap",
        init_cfg=dict(
            type="Pretrained",
            checkpoint="{{$SAPIENS_CHECKPOINT_ROOT:checkpoints}}/sapiens_0.3b_epoch_1600_clean.pth",
        ),
    )
)
