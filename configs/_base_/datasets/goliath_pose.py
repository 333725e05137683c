# Goliath's 308 keypoints. The release's images are not public: this is the layout of its test set.
_base_ = ["./coco.py"]
model = dict(metainfo="goliath")
required = dict(num_keypoints=8)
data_root = "{{$DATA_ROOT:data}}/goliath"
data = dict(type="GoliathDataset")
train_file = "annotations/person_keypoints_train2023.json"
val_file = "annotations/person_keypoints_test2023.json"
train_images = val_images = "images"
bbox_file = None
val_dataloader = dict(dataset=dict(data_root=f"{data_root}/test_5000"))
val_evaluator = dict(type="GoliathMetric", ann_file=f"{data_root}/test_5000/{val_file}")
