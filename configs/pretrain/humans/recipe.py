_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/mae_adamw_cosine.py",
    "../../_base_/models/mae.py",
    "../../_base_/datasets/pretrain_images.py",
]
# With 8 processes a step has 4096 images.
batch_size = 64
train_dataloader = dict(batch_size=batch_size)
optim_wrapper = dict(accumulative_counts=512 // batch_size)
