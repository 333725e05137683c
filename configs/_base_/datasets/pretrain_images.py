# All images below a folder. For a text file of paths, add list_file=...; for tar archives
# (WebDataset), type="TarImageDataset".
input_size_hw = (1024, 1024)
data_root = "{{$DATA_ROOT:data}}/humans"
train_pipeline = [
    dict(type="LoadImage", reduce=True),
    dict(type="RandomResizedCrop", crop_ratio_range=(0.2, 1.0), aspect_ratio_range=(3 / 4, 4 / 3)),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Warp", interpolation="bicubic"),
    dict(type="PackInputs"),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="SeededSampler", shuffle=True),
    dataset=dict(type="ImageListDataset", data_root=data_root, pipeline=train_pipeline),
)
