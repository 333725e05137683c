# LIP's 20 labels on rendered people
# (mmsapiens synthesize lip data/synthetic_lip --num 1000 --num-val 150 --variety 0.15).
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/models/parts.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/datasets/lip.py",
    "../../_base_/trial.py",
]
model = dict(backbone=dict(patch_cfg=dict(padding=2)))
data_root = "{{$DATA_ROOT:data}}/synthetic_lip"
