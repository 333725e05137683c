_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/mae_adamw_cosine.py",
    "../../_base_/models/mae.py",
    "../../_base_/datasets/pretrain_images.py",
]
model = dict(backbone=dict(arch="sapiens_0.3b"))
# With 8 processes a step has 4096 images.
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(accumulative_counts=8)
