_base_ = ["recipe.py"]
model = dict(backbone=dict(arch="sapiens_0.3b"))
