# A trial on rendered people: see mmsapiens demo pose.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/models/pose_tiny.py",
    "../../_base_/datasets/coco.py",
    "../../_base_/trial.py",
]
# Milder than for photographs, which suits a short training.
loading = [dict(type="LoadImage"), dict(type="GetBBoxCenterScale")]
geometry = [
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomBBoxTransform", scale_factor=(0.9, 1.1), rotate_factor=10),
]
required = dict(margin=24)
data_root = "{{$DATA_ROOT:data}}/synthetic_coco"
train_file = "annotations/person_keypoints_train.json"
val_file = "annotations/person_keypoints_val.json"
train_images = val_images = "images"
bbox_file = None
