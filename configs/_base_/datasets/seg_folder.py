# A folder of images and a folder of label maps; the leaf says where and which classes.
_base_ = ["./face.py"]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="SegFolderDataset",
        split="train",
        pipeline={{_base_.train_pipeline}},
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type="SegFolderDataset",
        split="val",
        pipeline={{_base_.test_pipeline}},
    )
)
test_dataloader = val_dataloader
