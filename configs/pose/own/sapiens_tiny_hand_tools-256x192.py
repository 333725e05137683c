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
geometry = [dict(type="RandomFlip", prob=0.5), dict(type="RandomBBoxTransform")]
required = dict(num_keypoints=1, margin=24)
appearance = [dict(type="PhotoMetricDistortion")]
data_root = "{{$DATA_ROOT:data}}/hand_tools"
data = dict(metainfo=metainfo)
train_file = "train.json"
val_file = "val.json"
train_images = val_images = "images"
bbox_file = None
train_dataloader = dict(batch_size=16)
