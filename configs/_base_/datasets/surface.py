# What depth and normals share. Each dataset gives truth, "Depth" or "Normal", and data: its type
# and its place; 2 % are held out for evaluation.
_base_ = ["./loaders.py"]
input_size_hw = (1024, 768)
truth = None
data = dict(val_ratio=0.02)
loading = [dict(type="LoadImage"), dict(type="LoadMask"), dict(type=f"Load{truth}")]
rotation = [dict(type="RandomRotate", prob=0.5, degree=60)]
geometry = [
    dict(type="RandomResize", ratio_range=(0.2, 2.0)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    *rotation,
    dict(type="RandomFlip", prob=0.5),
]
appearance = [dict(type="PhotoMetricDistortion")]
train_pipeline = [
    *loading,
    *geometry,
    dict(type="Warp"),
    dict(type=f"Generate{truth}Target"),
    *appearance,
    dict(type="PackInputs"),
]
# The truth is loaded after the warp: evaluation is at the original size, and in the files' units.
test_pipeline = [
    dict(type="LoadImage"),
    dict(type="Resize"),
    dict(type="Warp"),
    dict(type="LoadMask"),
    dict(type=f"Load{truth}"),
    dict(type="PackInputs"),
]
train_dataloader = dict(dataset=dict(split="train", pipeline=train_pipeline) | data)
val_dataloader = dict(dataset=dict(split="val", pipeline=test_pipeline) | data)
