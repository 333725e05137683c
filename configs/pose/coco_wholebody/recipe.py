_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_multistep.py",
    "../../_base_/models/pose.py",
    "../../_base_/datasets/coco_wholebody.py",
]
