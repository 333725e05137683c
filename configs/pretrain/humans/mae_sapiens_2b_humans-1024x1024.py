_base_ = ["recipe.py"]
model = dict(backbone=dict(arch="sapiens_2b"))
batch_size = 8
