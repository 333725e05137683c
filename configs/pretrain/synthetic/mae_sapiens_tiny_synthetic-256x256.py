# A trial on rendered people, in minutes on a CPU: see mmsapiens demo pretrain.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/mae_adamw_cosine.py",
    "../../_base_/models/mae.py",
    "../../_base_/datasets/pretrain_images.py",
]
input_size_hw = (256, 256)
model = dict(
    backbone=dict(arch="sapiens_tiny", activation_checkpointing=False),
    neck=dict(
        decoder_embed_dim=128, decoder_depth=2, decoder_num_heads=4, activation_checkpointing=False
    ),
)
data_root = "{{$DATA_ROOT:data}}/synthetic_people/images"
train_dataloader = dict(batch_size=16, num_workers=1)
# Few steps: a higher rate than that of 1600 epochs.
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
auto_scale_lr = dict(enable=False)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-4, begin=0, end=50, by_epoch=False),
    dict(type="CosineAnnealingLR", eta_min=0.0, by_epoch=True, convert_to_iter_based=True),
]
max_epochs = 20
