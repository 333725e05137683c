_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_cosine.py",
    "../../_base_/models/parts.py",
    "../../_base_/backbones/patch_padding_2.py",
    "../../_base_/datasets/lip.py",
]
max_epochs = 400
