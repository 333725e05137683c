# Relative depth of people: 0 near, 1 far.
default_scope = "seg"
model = dict(
    type="DepthEstimator",
    data_preprocessor=dict(type="DataPreprocessor"),
    decode_head=dict(
        type="VitDepthHead",
        deconv_out_channels=(384, 384, 384, 384),
        deconv_kernel_sizes=(4, 4, 4, 4),
        conv_out_channels=(384, 384),
        conv_kernel_sizes=(1, 1),
        dropout_ratio=0.1,
        # The release has floor=None: pixels predicted at or below 0 then learn nothing.
        loss_decode=dict(type="SiLogLoss", floor=0.01),
    ),
)
writer = dict(type="DepthWriter")
visualizer = dict(
    type="DepthVisualizer",
    vis_backends=[dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")],
)
val_evaluator = dict(type="DepthMetric")
test_evaluator = val_evaluator
