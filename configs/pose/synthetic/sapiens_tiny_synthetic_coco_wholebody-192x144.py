# As sapiens_tiny_synthetic_coco, with 133 keypoints. The data:
# mmsapiens synthesize coco_wholebody data/synthetic_coco_wholebody \
#     --num 500 --num-val 80 --variety 0.3
_base_ = ["./sapiens_tiny_synthetic_coco-192x144.py"]
model = dict(metainfo="coco_wholebody")
data_root = "{{$DATA_ROOT:data}}/synthetic_coco_wholebody"
data = dict(type="CocoWholeBodyDataset")
train_file = "annotations/coco_wholebody_train.json"
val_file = "annotations/coco_wholebody_val.json"
val_evaluator = dict(type="CocoWholeBodyMetric")
