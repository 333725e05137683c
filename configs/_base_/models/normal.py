# Surface normals of people: x right, y up, z towards the camera.
default_scope = "seg"
model = dict(
    type="DepthEstimator",
    data_preprocessor=dict(type="DataPreprocessor"),
    decode_head=dict(
        type="VitNormalHead",
        deconv_out_channels=(768, 768, 768),
        deconv_kernel_sizes=(4, 4, 4),
        conv_out_channels=(768, 768, 768),
        conv_kernel_sizes=(1, 1, 1),
        dropout_ratio=0.1,
        loss_decode=[dict(type="CosineSimilarityLoss"), dict(type="L1Loss")],
    ),
)
writer = dict(type="NormalWriter")
visualizer = dict(
    type="NormalVisualizer",
    vis_backends=[dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")],
)
val_evaluator = dict(type="NormalMetric")
test_evaluator = val_evaluator
