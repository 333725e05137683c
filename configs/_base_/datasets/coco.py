# COCO's 17 keypoints; evaluated with detected boxes. To use the annotated ones: bbox_file=None.
input_size_hw = (1024, 768)
data_root = "{{$DATA_ROOT:data}}/coco"
model = dict(metainfo="coco")
train_pipeline = [
    dict(type="LoadImage", reduce=True),
    dict(type="GetBBoxCenterScale", padding=1.25),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomHalfBody", prob=0.3),
    dict(type="RandomBBoxTransform"),
    dict(type="TopdownAffine"),
    # The margin is as far as the blob of a heatmap reaches: 3 sigma times 4 pixels.
    dict(type="RequireKeypoints", num_keypoints=4, margin=72),
    dict(type="Warp"),
    dict(type="PhotoMetricDistortion", channel_shuffle_prob=0.5),
    dict(type="RandomBlur", kind="box", prob=0.1),
    dict(type="RandomBlur", kind="median", prob=0.1),
    dict(type="CoarseDropout", size_range=(0.2, 0.4)),
    dict(type="PackInputs"),
]
# The arithmetic that the released models were evaluated with.
test_pipeline = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale", padding=1.25),
    dict(type="TopdownAffine"),
    dict(type="Warp", interpolation="fixed_point"),
    dict(type="PackInputs"),
]
# As released, 64 people a GPU; 1b and 2b need several GPUs' worth of memory for that.
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="SeededSampler", shuffle=True),
    dataset=dict(
        type="CocoDataset",
        data_root=data_root,
        ann_file="annotations/person_keypoints_train2017.json",
        data_prefix=dict(img="train2017"),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="SeededSampler", shuffle=False),
    dataset=dict(
        type="CocoDataset",
        data_root=data_root,
        ann_file="annotations/person_keypoints_val2017.json",
        data_prefix=dict(img="val2017"),
        bbox_file="person_detection_results/COCO_val2017_detections_AP_H_70_person.json",
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type="CocoMetric", ann_file=f"{data_root}/annotations/person_keypoints_val2017.json"
)
test_evaluator = val_evaluator
