_base_ = ["recipe.py", "../../_base_/backbones/sapiens_1b.py"]
model = dict(head=dict(loss=dict(type="KeypointOHKMMSELoss", topk=128)))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.95))
