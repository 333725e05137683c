# Rendered people as rgb/, mask/ and depth/; 2 % are held out for evaluation.
_base_ = ["./depth_general.py"]
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadMask"),
    # Photographs without people. Take the line out to do without. It comes before LoadDepth, which
    # takes what was not measured out of the mask.
    dict(type="RandomBackground", prob=0.5, root="{{$DATA_ROOT:data}}/backgrounds"),
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
data = dict(type="RenderPeopleDataset", data_root="{{$DATA_ROOT:data}}/render_people/synthetic")
train_dataloader = dict(dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
