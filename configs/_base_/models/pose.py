# Top-down keypoints by heatmaps. The dataset says which: model.metainfo.
default_scope = "pose"
model = dict(
    type="TopdownPoseEstimator",
    data_preprocessor=dict(type="DataPreprocessor"),
    # The released pose models pad patches by 2 pixels on all sides, unlike the pretraining.
    backbone=dict(
        patch_cfg=dict(padding=2),
        init_cfg=dict(type="Pretrained", allow_patch_padding_change=True),
    ),
    head=dict(
        type="HeatmapHead",
        deconv_out_channels=(768, 768),
        deconv_kernel_sizes=(4, 4),
        conv_out_channels=(768, 768),
        conv_kernel_sizes=(1, 1),
        loss=dict(type="KeypointMSELoss"),
        decoder=dict(type="UDPHeatmap", sigma=6),
    ),
    test_views=dict(flip=True),
)
writer = dict(type="PoseWriter")
visualizer = dict(
    type="PoseVisualizer",
    vis_backends=[dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")],
)
default_hooks = dict(redrawn=dict(type="RedrawnHook"))
