# As sapiens_tiny_synthetic_coco, with 308 keypoints. The data:
# mmsapiens synthesize goliath_pose data/synthetic_goliath_pose \
#     --num 1000 --num-val 80 --variety 0.3
_base_ = ["./sapiens_tiny_synthetic_coco-192x144.py"]
root = "{{$DATA_ROOT:data}}/synthetic_goliath_pose"
model = dict(metainfo="goliath")
data = dict(type="GoliathDataset", data_root=root)
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
val_evaluator = dict(type="GoliathMetric", ann_file=f"{root}/annotations/person_keypoints_val.json")
test_evaluator = val_evaluator
