_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_multistep.py",
    "../../_base_/models/pose.py",
    "../../_base_/datasets/goliath_pose.py",
]
optim_wrapper = dict(optimizer=dict(lr=5e-5))
