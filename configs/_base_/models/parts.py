# Segmentation into classes. The leaf says how many.
default_scope = "seg"
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(type="DataPreprocessor"),
    decode_head=dict(
        type="VitHead",
        deconv_out_channels=(768, 768, 768),
        deconv_kernel_sizes=(4, 4, 4),
        conv_out_channels=(768, 768, 768),
        conv_kernel_sizes=(1, 1, 1),
        dropout_ratio=0.1,
        loss_decode=dict(type="CrossEntropyLoss"),
    ),
)
writer = dict(type="SegWriter")
visualizer = dict(
    type="SegVisualizer",
    vis_backends=[dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")],
)
default_hooks = dict(confusion=dict(type="ConfusionMatrixHook"))
val_evaluator = dict(type="IoUMetric")
test_evaluator = val_evaluator
