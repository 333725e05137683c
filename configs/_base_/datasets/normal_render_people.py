# Rendered people as rgb/, mask/ and normal/; 2 % are held out for evaluation.
_base_ = ["./normal_general.py"]
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="LoadMask"),
    dict(type="LoadNormal"),
    # Photographs without people. Take the line out to do without.
    dict(type="RandomBackground", prob=0.5, root="{{$DATA_ROOT:data}}/backgrounds"),
    dict(type="RandomResize", ratio_range=(0.2, 2.0)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp"),
    dict(type="GenerateNormalTarget"),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackInputs"),
]
data = dict(
    type="NormalRenderPeopleDataset", data_root="{{$DATA_ROOT:data}}/render_people/synthetic"
)
train_dataloader = dict(dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
