# What the datasets of parts share. Each gives data: its type and its place.
_base_ = ["./loaders.py"]
input_size_hw = (1024, 768)
data = dict()
scale_range = (0.2, 2.0)
loading = [dict(type="LoadImage"), dict(type="LoadLabels")]
geometry = [
    dict(type="RandomResize", ratio_range=scale_range),
    dict(type="RandomCrop", cat_max_ratio=0.75),
    dict(type="Resize"),
    dict(type="RandomRotate", prob=0.5, degree=45),
    dict(type="RandomFlip", prob=0.5),
]
appearance = [dict(type="PhotoMetricDistortion")]
train_pipeline = [
    *loading,
    *geometry,
    dict(type="Warp"),
    *appearance,
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
train_dataloader = dict(dataset=dict(split="train", pipeline=train_pipeline) | data)
val_dataloader = dict(dataset=dict(split="val", pipeline=test_pipeline) | data)
