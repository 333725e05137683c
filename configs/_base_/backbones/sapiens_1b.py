_base_ = ["./sapiens.py"]
arch = "sapiens_1b"
pretrained = "{{$SAPIENS_CHECKPOINT_ROOT:checkpoints}}/sapiens_1b_epoch_173_clean.pth"
