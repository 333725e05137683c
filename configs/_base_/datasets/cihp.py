# Crowd Instance-level Human Parsing: LIP's labels, but for class 10, which is Torso-skin.
_base_ = ["./lip.py"]
data = dict(type="CIHPDataset", data_root="{{$DATA_ROOT:data}}/cihp")
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
