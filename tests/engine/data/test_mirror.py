"""The mirrored scene is an oracle for RandomFlip that knows nothing of it."""

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

import seg.datasets
from engine.data.synthetic_people import FACE_LABELS, render, sample_head


def flipped(sample):
    for step in (
        TRANSFORMS.build(dict(type="RandomFlip", prob=1.0)),
        TRANSFORMS.build(dict(type="Warp")),
    ):
        sample = step(sample)
    return sample


def sample_of(rendered):
    height, width = rendered.image.shape[:2]
    return {
        "img": rendered.image,
        "seg_map": rendered.labels(FACE_LABELS),
        "metainfo": seg.datasets.FaceDataset(lazy_init=True).metainfo,
        "rng": np.random.default_rng(0),
        "matrix": np.eye(2, 3),
        "size_hw": (height, width),
        "ori_size_hw": (height, width),
        "flip": False,
    }


@pytest.mark.parametrize("size_hw", [(96, 96), (90, 67)])
@pytest.mark.parametrize("seed", range(4))
def test_a_mirrored_head_equals_the_flipped_one_in_every_pixel(seed, size_hw):
    scene = sample_head(np.random.default_rng(seed))
    mirrored = sample_of(render(scene.mirrored(), size_hw))
    sample = flipped(sample_of(render(scene, size_hw)))
    np.testing.assert_array_equal(sample["img"], mirrored["img"])
    np.testing.assert_array_equal(sample["seg_map"], mirrored["seg_map"])
    assert {3, 4} & set(np.unique(sample["seg_map"])), "an eye must show, or labels are not tested"
