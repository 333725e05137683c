model = dict(
    backbone=dict(
        type="pretrain.VisionTransformer",
        arch="sapiens_2b",
        with_cls_token=False,
        out_type="featmap",
        init_cfg=dict(
            type="Pretrained",
            checkpoint="{{$SAPIENS_CHECKPOINT_ROOT:checkpoints}}/sapiens_2b_epoch_660_clean.pth",
        ),
    )
)
