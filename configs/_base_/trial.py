# A trial of the whole chain on rendered people, in minutes on a CPU: what the synthetic configs
# share. The last of the bases.
_base_ = ["./schedules/adamw_from_scratch.py", "./backbones/sapiens_tiny.py"]
input_size_hw = (192, 144)
# Rendered people are upright, and their colours mean something: little is changed.
geometry = [
    dict(type="RandomResize", ratio_range=(0.95, 1.05)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomFlip", prob=0.5),
]
appearance = []
train_dataloader = dict(batch_size=8, num_workers=1)
val_dataloader = dict(batch_size=8, num_workers=1)
max_epochs = 7
train_cfg = dict(val_interval=max_epochs)
