# Rendered people as rgb/, mask/ and normal/.
_base_ = ["./normal_general.py"]
loading = [
    dict(type="LoadImage"),
    dict(type="LoadMask"),
    dict(type="LoadNormal"),
    # Photographs without people. Take the line out to do without.
    dict(type="RandomBackground", prob=0.5, root="{{$DATA_ROOT:data}}/backgrounds"),
]
data_root = "{{$DATA_ROOT:data}}/render_people/synthetic"
data = dict(type="NormalRenderPeopleDataset")
