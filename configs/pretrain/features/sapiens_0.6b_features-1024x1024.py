_base_ = ["../../_base_/models/features.py"]
model = dict(backbone=dict(arch="sapiens_0.6b"))
