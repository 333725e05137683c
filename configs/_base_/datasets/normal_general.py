# Own normals: images/, masks/, normals/. They are not rotated.
_base_ = ["./surface.py"]
truth = "Normal"
rotation = []
data_root = "{{$DATA_ROOT:data}}/normal_general"
data = dict(type="NormalGeneralDataset", data_root=data_root)
