# Your own keypoints by config alone, from a JSON in COCO's format. A template: exchange the
# keypoints, the files and the backbone.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_multistep.py",
    "../../_base_/models/pose_tiny.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/coco.py",
]
input_size_hw = (256, 192)
metainfo = dict(
    name="hand_tools",
    keypoints=["hammer_head", "hammer_grip", "left_hand", "right_hand"],
    flip_pairs=[("left_hand", "right_hand")],
    skeleton=[("hammer_head", "hammer_grip")],
    sigmas=[0.05, 0.05, 0.03, 0.03],
)
model = dict(metainfo=metainfo)
train_pipeline = [
    dict(type="LoadImage", reduce=True),
    dict(type="GetBBoxCenterScale", padding=1.25),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomBBoxTransform"),
    dict(type="TopdownAffine"),
    dict(type="RequireKeypoints", num_keypoints=1, margin=24),
    dict(type="Warp"),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackInputs"),
]
root = "{{$DATA_ROOT:data}}/hand_tools"
data = dict(data_root=root, data_prefix=dict(img="images"), metainfo=metainfo)
train_dataloader = dict(
    batch_size=16, dataset=dict(**data, ann_file="train.json", pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(**data, ann_file="val.json", bbox_file=None))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f"{root}/val.json")
test_evaluator = val_evaluator
