_base_ = ["./sapiens.py"]
arch = "sapiens_0.6b"
pretrained = "{{$SAPIENS_CHECKPOINT_ROOT:checkpoints}}/sapiens_0.6b_epoch_1600_clean.pth"
