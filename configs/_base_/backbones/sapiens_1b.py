model = dict(
    backbone=dict(
        type="pretrain.VisionTransformer",
        arch="sapiens_1b",
        with_cls_token=False,
        out_type="featmap",
        init_cfg=dict(
            type="Pretrained",
            checkpoint="{{$SAPIENS_CHECKPOINT_ROOT:checkpoints}}/sapiens_1b_epoch_173_clean.pth",
        ),
    )
)
