# A folder of images and a folder of label maps; the leaf says where and which classes.
_base_ = ["./parts.py"]
data = dict(type="SegFolderDataset")
