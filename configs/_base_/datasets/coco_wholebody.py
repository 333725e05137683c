# COCO-WholeBody's 133 keypoints, on COCO's images.
_base_ = ["./coco.py"]
data_root = "{{$DATA_ROOT:data}}/coco"
model = dict(metainfo="coco_wholebody")
train_pipeline = [
    dict(type="LoadImage", reduce=True),
    dict(type="GetBBoxCenterScale", padding=1.25),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomHalfBody", prob=0.3),
    dict(type="RandomBBoxTransform"),
    dict(type="TopdownAffine"),
    dict(type="RequireKeypoints", num_keypoints=8, margin=72),
    dict(type="Warp"),
    dict(type="PhotoMetricDistortion", channel_shuffle_prob=0.5),
    dict(type="RandomBlur", kind="box", prob=0.1),
    dict(type="RandomBlur", kind="median", prob=0.1),
    dict(type="CoarseDropout", size_range=(0.2, 0.4)),
    dict(type="PackInputs"),
]
train_dataloader = dict(
    dataset=dict(
        type="CocoWholeBodyDataset",
        ann_file="annotations/coco_wholebody_train_v1.0.json",
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(type="CocoWholeBodyDataset", ann_file="annotations/coco_wholebody_val_v1.0.json")
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type="CocoWholeBodyMetric", ann_file=f"{data_root}/annotations/coco_wholebody_val_v1.0.json"
)
test_evaluator = val_evaluator
