# Goliath's 308 keypoints. The release's images are not public: this is the layout of its test set.
_base_ = ["./coco_wholebody.py"]
data_root = "{{$DATA_ROOT:data}}/goliath"
model = dict(metainfo="goliath")
train_dataloader = dict(
    dataset=dict(
        type="GoliathDataset",
        data_root=data_root,
        ann_file="annotations/person_keypoints_train2023.json",
        data_prefix=dict(img="images"),
    )
)
val_dataloader = dict(
    dataset=dict(
        type="GoliathDataset",
        data_root=f"{data_root}/test_5000",
        ann_file="annotations/person_keypoints_test2023.json",
        data_prefix=dict(img="images"),
        bbox_file=None,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type="GoliathMetric",
    ann_file=f"{data_root}/test_5000/annotations/person_keypoints_test2023.json",
)
test_evaluator = val_evaluator
