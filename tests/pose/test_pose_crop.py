"""Evaluation sees what the released models were evaluated on."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS

from engine.data import collate_samples, geometry
from engine.data.warp import sample_fixed_point
from pose.geometry import fix_aspect, udp_matrix
from pose.registry import MODELS

PHOTO = Path(os.environ.get("DATA_ROOT", "data"), "coco", "val2017", "000000000785.jpg")


def by_integers(image, matrix, size_hw):
    """OpenCV 4's warpAffine in plain integers: coordinates and weights in 1/32 pixel."""
    (xx, xy, x0), (yx, yy, y0) = geometry.invert(matrix)
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]

    def coordinate(by_column, by_row, offset):
        parts = np.rint(by_column * columns * 1024), np.rint((by_row * rows + offset) * 1024)
        return (sum(part.astype(np.int64) for part in parts) + 16) >> 5

    x, y = coordinate(xx, xy, x0), coordinate(yx, yy, y0)
    padded = np.zeros((image.shape[0] + 2, image.shape[1] + 2, 3), np.int64)
    padded[1:-1, 1:-1] = image

    def pixel(dy, dx):
        inner_y = ((y >> 5) + dy + 1).clip(0, image.shape[0] + 1)
        inner_x = ((x >> 5) + dx + 1).clip(0, image.shape[1] + 1)
        return padded[inner_y, inner_x]

    fx, fy = (x & 31)[..., None], (y & 31)[..., None]
    top = pixel(0, 0) * (32 - fx) + pixel(0, 1) * fx
    bottom = pixel(1, 0) * (32 - fx) + pixel(1, 1) * fx
    return ((top * (32 - fy) + bottom * fy + 512) >> 10).astype(np.uint8)


@pytest.mark.parametrize("rotation", [0, 33])
@pytest.mark.parametrize("scale", [(40, 50), (120, 90), (900, 600)])
def test_fixed_point_is_opencv_4s_arithmetic(rotation, scale):
    image = np.random.default_rng(0).integers(0, 256, (130, 170, 3), np.uint8)
    matrix = udp_matrix((80, 60), fix_aspect(scale, (96, 128)), (96, 128), rotation)
    np.testing.assert_array_equal(
        sample_fixed_point(image, matrix, (128, 96), 0), by_integers(image, matrix, (128, 96))
    )


@pytest.mark.skipif(not PHOTO.is_file(), reason="needs $DATA_ROOT/coco/val2017/000000000785.jpg")
def test_keypoints_of_a_photograph_are_the_releases(golden):
    recorded = golden("pose_end_to_end")
    meta = recorded.meta
    size_hw = tuple(meta["input_size"][::-1])
    model = MODELS.build(
        dict(
            type="TopdownPoseEstimator",
            metainfo="coco",
            backbone=dict(
                type="pretrain.VisionTransformer",
                arch=meta["arch"],
                img_size=size_hw,
                with_cls_token=False,
                out_type="featmap",
                patch_cfg=dict(padding=meta["padding"]),
            ),
            head=dict(
                type="HeatmapHead",
                deconv_out_channels=(meta["channels"],) * 2,
                conv_out_channels=(meta["channels"],) * 2,
                decoder=dict(sigma=meta["sigma"]),
            ),
        )
    ).eval()
    model.load_state_dict(recorded.state_dict)
    steps = [
        TRANSFORMS.build(cfg)
        for cfg in (
            dict(type="LoadImage"),
            dict(type="GetBBoxCenterScale", padding=1.25),
            dict(type="TopdownAffine", size_hw=size_hw),
            dict(type="Warp", interpolation="fixed_point"),
            dict(type="PackInputs"),
        )
    ]
    packed = []
    for box in recorded["in/boxes_xyxy"].float().numpy():
        sample = dict(img_path=str(PHOTO), bbox=box[None], metainfo={})
        for step in steps:
            sample = step(sample)
        packed.append(sample)
    with torch.no_grad():
        people = [s.pred_instances for s in model.test_step(collate_samples(packed))]
    keypoints = torch.cat([one.keypoints for one in people]).double()
    scores = torch.cat([one.keypoint_scores for one in people])
    torch.testing.assert_close(keypoints, recorded["out/keypoints"].double(), atol=0.05, rtol=0)
    torch.testing.assert_close(scores, recorded["out/keypoint_scores"], atol=1e-4, rtol=0)
