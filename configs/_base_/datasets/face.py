# FaceSynthetics, 100 000 rendered faces in one flat folder; 2 % are held out for evaluation.
input_size_hw = (1024, 768)
data_root = "{{$DATA_ROOT:data}}/face/dataset_100000"
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadLabels"),
    dict(type="RandomResize", ratio_range=(0.2, 2.0)),
    dict(type="RandomCrop", cat_max_ratio=0.75),
    dict(type="Resize"),
    dict(type="RandomRotate", prob=0.5, degree=45),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackInputs"),
]
# Labels are loaded after the warp: evaluation is at the original size.
test_pipeline = [
    dict(type="LoadImage"),
    dict(type="Resize"),
    dict(type="Warp"),
    dict(type="LoadLabels"),
    dict(type="PackInputs"),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="SeededSampler", shuffle=True),
    dataset=dict(
        type="FaceDataset",
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
        type="FaceDataset",
        data_root=data_root,
        split="val",
        val_ratio=0.02,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
