# A trial of the whole chain on rendered people, in minutes on a CPU: see mmsapiens demo pose.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_from_scratch.py",
    "../../_base_/models/pose_tiny.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/coco.py",
]
input_size_hw = (192, 144)

# Milder than for photographs, which suits a short training.
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomBBoxTransform", scale_factor=(0.9, 1.1), rotate_factor=10),
    dict(type="TopdownAffine"),
    dict(type="RequireKeypoints", num_keypoints=4, margin=24),
    dict(type="Warp"),
    dict(type="PackInputs"),
]
root = "{{$DATA_ROOT:data}}/synthetic_coco"
data = dict(data_root=root, data_prefix=dict(img="images"))
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        **data, ann_file="annotations/person_keypoints_train.json", pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(**data, ann_file="annotations/person_keypoints_val.json", bbox_file=None),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f"{root}/annotations/person_keypoints_val.json")
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=7, val_interval=7)
