# Features (D, H/16, W/16) of whole images: mmsapiens infer writes them as .npy. The image is
# stretched to input_size_hw. The leaf gives the backbone's arch.
default_scope = "pretrain"
input_size_hw = (1024, 1024)
model = dict(
    type="FeatureExtractor",
    data_preprocessor=dict(type="DataPreprocessor"),
    # As pretrained. For a finetuned checkpoint: with_cls_token=False, and its input_size_hw.
    backbone=dict(type="VisionTransformer", with_cls_token=True, out_type="featmap"),
    # "cls_token", "mean" or "centre" draws where each head looks from there.
    attention_query=None,
)
test_dataloader = dict(
    dataset=dict(
        type="ImageListDataset",
        pipeline=[
            dict(type="LoadImage"),
            dict(type="Resize"),
            dict(type="Warp", interpolation="bicubic"),
            dict(type="PackInputs"),
        ],
    )
)
writer = dict(type="FeatureWriter", dtype="float32")
