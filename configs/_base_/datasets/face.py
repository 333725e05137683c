# FaceSynthetics, 100 000 rendered faces in one flat folder; 2 % are held out for evaluation.
_base_ = ["./parts.py"]
data_root = "{{$DATA_ROOT:data}}/face/dataset_100000"
data = dict(type="FaceDataset", data_root=data_root, val_ratio=0.02)
