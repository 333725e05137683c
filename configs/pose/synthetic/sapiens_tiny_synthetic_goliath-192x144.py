# As sapiens_tiny_synthetic_coco, with 308 keypoints. The data:
# mmsapiens synthesize goliath_pose data/synthetic_goliath_pose \
#     --num 1000 --num-val 80 --variety 0.3
_base_ = ["./sapiens_tiny_synthetic_coco-192x144.py"]
model = dict(metainfo="goliath")
data_root = "{{$DATA_ROOT:data}}/synthetic_goliath_pose"
data = dict(type="GoliathDataset")
val_evaluator = dict(type="GoliathMetric")
