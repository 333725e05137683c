# The released backbones, after pretraining. sapiens_0.3b, ... say which.
arch = None
pretrained = None
model = dict(
    backbone=dict(
        type="pretrain.VisionTransformer",
        arch=arch,
        with_cls_token=False,
        out_type="featmap",
        init_cfg=dict(type="Pretrained", checkpoint=pretrained),
    )
)
