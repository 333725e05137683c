_base_ = ["./sapiens.py"]
arch = "sapiens_2b"
pretrained = "{{$SAPIENS_CHECKPOINT_ROOT:checkpoints}}/sapiens_2b_epoch_660_clean.pth"
