# A trial on rendered faces (mmsapiens synthesize face).
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/models/parts.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/datasets/face.py",
    "../../_base_/trial.py",
]
# From scratch and in minutes, small parts are learnt only if they count for more.
class_weight = [0.5, 0.8, 1.5, 2, 2, 2, 2, 2, 2, 2, 2.5, 2, 1, 0.8, 1.2, 0.8, 1.5, 1, 1]
model = dict(decode_head=dict(num_classes=19, loss_decode=dict(class_weight=class_weight)))
# The release's steps, in a mild form: rendered heads are all upright and of one size.
geometry = [
    dict(type="RandomResize", ratio_range=(0.9, 1.1)),
    dict(type="RandomCrop"),
    dict(type="Resize"),
    dict(type="RandomRotate", prob=0.5, degree=10),
    dict(type="RandomFlip", prob=0.5),
]
appearance = [
    dict(
        type="PhotoMetricDistortion",
        brightness_delta=16,
        contrast_range=(0.8, 1.2),
        saturation_range=(0.8, 1.2),
        hue_delta=6,
    )
]
data_root = "{{$DATA_ROOT:data}}/synthetic_face"
data = dict(val_ratio=0.15)
optim_wrapper = dict(optimizer=dict(lr=3e-3, betas=(0.9, 0.999)))
max_epochs = 12
train_cfg = dict(val_interval=6)
