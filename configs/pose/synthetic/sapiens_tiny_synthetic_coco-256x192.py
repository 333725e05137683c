# A trial of the whole chain on rendered people, in minutes on a CPU. The data:
# python tools/make_synthetic_data.py coco data/synthetic_coco --num-val 50
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_multistep.py",
    "../../_base_/models/pose_tiny.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/coco.py",
]
input_size_hw = (256, 192)
max_epochs = 20

# Milder than for photographs, which suits a short training.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomBBoxTransform", scale_factor=(0.8, 1.25), rotate_factor=20),
    dict(type="TopdownAffine"),
    dict(type="RequireKeypoints", num_keypoints=4, margin=24),
    dict(type="Warp"),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackInputs"),
]
root = "{{$DATA_ROOT:data}}/synthetic_coco"
data = dict(data_root=root, data_prefix=dict(img="images"))
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        **data, ann_file="annotations/person_keypoints_train.json", pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(**data, ann_file="annotations/person_keypoints_val.json", bbox_file=None),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f"{root}/annotations/person_keypoints_val.json")
test_evaluator = val_evaluator

# From scratch: all layers learn at the same rate.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=1.0), optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-2, begin=0, end=50, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0, begin=0, end=max_epochs, by_epoch=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
