_base_ = ["./sapiens.py"]
arch = "sapiens_0.3b"
pretrained = "{{$SAPIENS_CHECKPOINT_ROOT:checkpoints}}/sapiens_0.3b_epoch_1600_clean.pth"
