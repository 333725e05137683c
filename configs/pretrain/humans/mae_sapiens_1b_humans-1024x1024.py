_base_ = ["recipe.py"]
model = dict(backbone=dict(arch="sapiens_1b"))
batch_size = 16
