# After parts, depth or normal: a head that suits sapiens_tiny. Two deconvolutions of few channels,
# and no dropout, which a short training has no use for.
model = dict(
    decode_head=dict(
        deconv_out_channels=(128, 128),
        deconv_kernel_sizes=(4, 4),
        conv_out_channels=(128,),
        conv_kernel_sizes=(1,),
        dropout_ratio=0.0,
    )
)
