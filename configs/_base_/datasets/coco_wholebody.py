# COCO-WholeBody's 133 keypoints, on COCO's images.
_base_ = ["./coco.py"]
model = dict(metainfo="coco_wholebody")
required = dict(num_keypoints=8)
data = dict(type="CocoWholeBodyDataset")
train_file = "annotations/coco_wholebody_train_v1.0.json"
val_file = "annotations/coco_wholebody_val_v1.0.json"
val_evaluator = dict(type="CocoWholeBodyMetric")
