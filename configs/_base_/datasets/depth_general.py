# Own depth: images/, masks/, depths/; 2 % are held out for evaluation.
input_size_hw = (1024, 768)
data_root = "{{$DATA_ROOT:data}}/depth_general"
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadMask"),
    dict(type="LoadDepth"),
    dict(type="RandomResize", ratio_range=(0.2, 2.0)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomRotate", prob=0.5, degree=60),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="GenerateDepthTarget"),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackInputs"),
]
# The truth is loaded after the warp: evaluation is at the original size, and in the files' units.
test_pipeline = [
    dict(type="LoadImage"),
    dict(type="Resize"),
    dict(type="Warp"),
    dict(type="LoadMask"),
    dict(type="LoadDepth"),
    dict(type="PackInputs"),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="SeededSampler", shuffle=True),
    dataset=dict(
        type="DepthGeneralDataset",
        data_root=data_root,
        split="train",
        val_ratio=0.02,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="SeededSampler", shuffle=False),
    dataset=dict(
        type="DepthGeneralDataset",
        data_root=data_root,
        split="val",
        val_ratio=0.02,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
