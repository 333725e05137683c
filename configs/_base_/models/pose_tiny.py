# As pose, from scratch, with a head that suits sapiens_tiny, and sharper heatmaps of 1/4 size.
_base_ = ["./pose.py"]
model = dict(
    backbone=dict(init_cfg=None),
    head=dict(
        deconv_out_channels=(128, 128),
        conv_out_channels=(128,),
        conv_kernel_sizes=(1,),
        decoder=dict(sigma=2),
    ),
)
