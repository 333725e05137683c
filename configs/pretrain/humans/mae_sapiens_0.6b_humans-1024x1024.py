_base_ = ["recipe.py"]
model = dict(backbone=dict(arch="sapiens_0.6b"))
batch_size = 32
