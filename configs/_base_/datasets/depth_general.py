# Own depth: images/, masks/, depths/.
_base_ = ["./surface.py"]
truth = "Depth"
data_root = "{{$DATA_ROOT:data}}/depth_general"
data = dict(type="DepthGeneralDataset", data_root=data_root)
