_base_ = [
    "../../_base_/runtime.py",
    "../../_base_/schedules/adamw_layer_decay_poly.py",
    "../../_base_/models/depth.py",
    "../../_base_/datasets/depth_render_people.py",
]
