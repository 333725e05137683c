# Rendered people as rgb/, mask/ and depth/.
_base_ = ["./depth_general.py"]
loading = [
    dict(type="LoadImage"),
    dict(type="LoadMask"),
    # Photographs without people. Take the line out to do without. It comes before LoadDepth, which
    # takes what was not measured out of the mask.
    dict(type="RandomBackground", prob=0.5, root="{{$DATA_ROOT:data}}/backgrounds"),
    dict(type="LoadDepth"),
]
data_root = "{{$DATA_ROOT:data}}/render_people/synthetic"
data = dict(type="RenderPeopleDataset")
