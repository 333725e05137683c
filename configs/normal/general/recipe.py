_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_poly.py",
    "../../_base_/models/normal.py",
    "../../_base_/backbones/patch_padding_2.py",
    "../../_base_/datasets/normal_general.py",
]
