"""A mirrored scene is an oracle for RandomFlip that knows nothing of it."""

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

import pose.transforms  # noqa: F401
from mmsapiens.synthetic import keypoints_of, render, sample_person
from pose.metainfo import COCO, COCO_WHOLEBODY, GOLIATH

SIZE_HW = (160, 121)


def sample_of(scene, metainfo, **steps):
    picture = render(scene, SIZE_HW)
    points = keypoints_of(picture, metainfo.keypoints)[None]
    sample = {
        "img": picture.image,
        "keypoints": points[..., :2].copy(),
        "keypoints_visible": points[..., 2].copy(),
        "bbox": picture.box_of(0)[None].astype(np.float32),
        "metainfo": metainfo.as_dict(),
        "rng": np.random.default_rng(0),
        "matrix": np.eye(2, 3),
        "size_hw": SIZE_HW,
        "ori_size_hw": SIZE_HW,
    }
    for name, kwargs in steps.items():
        sample = TRANSFORMS.build(dict(type=name, **kwargs))(sample)
    return sample


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("metainfo", [COCO, COCO_WHOLEBODY, GOLIATH], ids=lambda m: m.name)
def test_a_mirrored_person_equals_the_flipped_one(metainfo, seed):
    scene = sample_person(np.random.default_rng(seed))
    flipped = sample_of(scene, metainfo, RandomFlip=dict(prob=1.0), Warp={})
    mirrored = sample_of(scene.mirrored(), metainfo)
    np.testing.assert_array_equal(flipped["img"], mirrored["img"])
    np.testing.assert_allclose(flipped["keypoints"], mirrored["keypoints"], atol=1e-3)
    np.testing.assert_array_equal(flipped["keypoints_visible"], mirrored["keypoints_visible"])
    np.testing.assert_allclose(flipped["bbox"], mirrored["bbox"], atol=1e-4)


@pytest.mark.parametrize("metainfo", [COCO, COCO_WHOLEBODY, GOLIATH], ids=lambda m: m.name)
def test_so_do_their_crops(metainfo):
    scene = sample_person(np.random.default_rng(5))
    crop = dict(GetBBoxCenterScale={}, TopdownAffine=dict(size_hw=(64, 48)), Warp={})
    flipped = sample_of(scene, metainfo, RandomFlip=dict(prob=1.0), **crop)
    mirrored = sample_of(scene.mirrored(), metainfo, **crop)
    assert abs(flipped["img"].astype(int) - mirrored["img"]).max() <= 1
    np.testing.assert_allclose(flipped["keypoints"], mirrored["keypoints"], atol=2e-3)
