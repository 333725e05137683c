_base_ = ["recipe.py", "../../_base_/backbones/sapiens_0.3b.py"]
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))
