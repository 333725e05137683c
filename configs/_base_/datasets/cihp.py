# Crowd Instance-level Human Parsing: LIP's labels, but for class 10, which is Torso-skin.
_base_ = ["./lip.py"]
data_root = "{{$DATA_ROOT:data}}/cihp"
data = dict(type="CIHPDataset")
