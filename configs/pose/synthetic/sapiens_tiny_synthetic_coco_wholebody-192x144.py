# As sapiens_tiny_synthetic_coco, with 133 keypoints. The data:
# mmsapiens synthesize coco_wholebody data/synthetic_coco_wholebody \
#     --num 500 --num-val 80 --variety 0.3
_base_ = ["./sapiens_tiny_synthetic_coco-192x144.py"]
root = "{{$DATA_ROOT:data}}/synthetic_coco_wholebody"
model = dict(metainfo="coco_wholebody")
data = dict(type="CocoWholeBodyDataset", data_root=root)
train_dataloader = dict(dataset=dict(**data, ann_file="annotations/coco_wholebody_train.json"))
val_dataloader = dict(dataset=dict(**data, ann_file="annotations/coco_wholebody_val.json"))
test_dataloader = val_dataloader
val_evaluator = dict(
    type="CocoWholeBodyMetric", ann_file=f"{root}/annotations/coco_wholebody_val.json"
)
test_evaluator = val_evaluator
