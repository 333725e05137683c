# Own data by config alone: people against the background, from a folder that `mmsapiens
# coco-to-folder` made. Also a template: exchange the folders, the classes and the backbone.
_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_poly.py",
    "../../_base_/models/parts.py",
    "../../_base_/models/tiny_head.py",
    "../../_base_/backbones/sapiens_tiny.py",
    "../../_base_/datasets/seg_folder.py",
]
input_size_hw = (256, 192)
data = dict(
    data_root="{{$DATA_ROOT:data}}/coco_persons",
    img_dir="images",
    seg_dir="labels",
    classes=("background", "person"),
    palette=((0, 0, 0), (0, 160, 255)),
    val_ratio=0.25,
)
model = dict(decode_head=dict(num_classes=2))
train_dataloader = dict(batch_size=4)
val_dataloader = dict(batch_size=1)
# From scratch: all layers learn at the same rate.
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=1.0))
