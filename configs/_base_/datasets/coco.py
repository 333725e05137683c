# COCO's 17 keypoints; evaluated with detected boxes. To use the annotated ones: bbox_file=None.
_base_ = ["./loaders.py"]
input_size_hw = (1024, 768)
model = dict(metainfo="coco")
loading = [
    dict(type="LoadImage", reduce=True),
    dict(type="GetBBoxCenterScale", padding=1.25),
]
geometry = [
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomHalfBody", prob=0.3),
    dict(type="RandomBBoxTransform"),
]
# The margin is as far as the blob of a heatmap reaches: 3 sigma times 4 pixels.
required = dict(num_keypoints=4, margin=72)
appearance = [
    dict(type="PhotoMetricDistortion", channel_shuffle_prob=0.5),
    dict(type="RandomBlur", kind="box", prob=0.1),
    dict(type="RandomBlur", kind="median", prob=0.1),
    dict(type="CoarseDropout", size_range=(0.2, 0.4)),
]
train_pipeline = [
    *loading,
    *geometry,
    dict(type="TopdownAffine"),
    dict(type="RequireKeypoints", **required),
    dict(type="Warp"),
    *appearance,
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
data_root = "{{$DATA_ROOT:data}}/coco"
data = dict(type="CocoDataset", data_root=data_root)
train_file = "annotations/person_keypoints_train2017.json"
train_images = "train2017"
val_file = "annotations/person_keypoints_val2017.json"
val_images = "val2017"
bbox_file = "person_detection_results/COCO_val2017_detections_AP_H_70_person.json"
# As released, 64 people a GPU; 1b and 2b need several GPUs' worth of memory for that.
train_dataloader = dict(
    batch_size=64,
    dataset=dict(ann_file=train_file, data_prefix=dict(img=train_images), pipeline=train_pipeline)
    | data,
)
val_dataloader = dict(
    batch_size=32,
    dataset=dict(
        ann_file=val_file,
        data_prefix=dict(img=val_images),
        bbox_file=bbox_file,
        pipeline=test_pipeline,
    )
    | data,
)
val_evaluator = dict(type="CocoMetric", ann_file=f"{data_root}/{val_file}")
test_evaluator = val_evaluator
