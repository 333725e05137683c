# For trials: the backbone of configs/pretrain/synthetic.
_base_ = ["../../_base_/models/features.py"]
input_size_hw = (256, 256)
model = dict(backbone=dict(arch="sapiens_tiny"))
