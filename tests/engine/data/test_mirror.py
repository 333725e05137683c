"""The mirrored scene is an oracle for RandomFlip that knows nothing of it."""

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

import seg.parts.datasets
from engine.data.mirror import index_flip_pairs, mirror_order, pairs_of
from engine.errors import ConfigError
from mmsapiens.synthetic import render, sample_head, sample_person
from mmsapiens.synthetic.labels import CIHP_LABELS, FACE_LABELS, GOLIATH_LABELS, LIP_LABELS


def flipped(sample):
    for step in (
        TRANSFORMS.build(dict(type="RandomFlip", prob=1.0)),
        TRANSFORMS.build(dict(type="Warp")),
    ):
        sample = step(sample)
    return sample


def sample_of(rendered, dataset=seg.parts.datasets.FaceDataset, labels=FACE_LABELS):
    height, width = rendered.image.shape[:2]
    return {
        "img": rendered.image,
        "seg_map": rendered.labels(labels),
        "metainfo": dataset(lazy_init=True).metainfo,
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


@pytest.mark.parametrize(
    "dataset, labels",
    [
        (seg.parts.datasets.GoliathDataset, GOLIATH_LABELS),
        (seg.parts.datasets.LIPDataset, LIP_LABELS),
        (seg.parts.datasets.CIHPDataset, CIHP_LABELS),
    ],
    ids=["goliath", "lip", "cihp"],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_mirrored_person_equals_the_flipped_one_in_every_pixel(seed, dataset, labels):
    scene = sample_person(np.random.default_rng(seed))
    mirrored = sample_of(render(scene.mirrored(), (96, 72)), dataset, labels)
    sample = flipped(sample_of(render(scene, (96, 72)), dataset, labels))
    np.testing.assert_array_equal(sample["img"], mirrored["img"])
    np.testing.assert_array_equal(sample["seg_map"], mirrored["seg_map"])
    sided = np.ravel(pairs_of(sample["metainfo"], "classes"))
    assert np.isin(sided, sample["seg_map"]).any(), "a sided part must show"


@pytest.mark.parametrize("pair", [(-1, 0), (0, -1), (0, 4), (4, 0)])
def test_ids_that_a_mirror_cannot_exchange(pair):
    with pytest.raises(ConfigError, match=rf"pair \({pair[0]}, {pair[1]}\), .* 4 classes are 0..3"):
        mirror_order(4, (pair,))
    assert mirror_order(4, ((0, 3),)) == (3, 1, 2, 0)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("left_arm",)], r"flip_pairs holds \('left_arm',\); expected two different"),
        ([("left_arm", "left_arm")], "expected two different names"),
        ([("left_arm", "arm")], "names 'arm', which is not among its 3 parts: nose, left_arm"),
        ([("left_arm", "right_arm"), ("nose", "left_arm")], "'left_arm' stands in two"),
        ([], "left_arm, right_arm: named after a side, but in no pair"),
    ],
)
def test_pairs_that_a_mirror_cannot_exchange(pairs, message):
    with pytest.raises(ConfigError, match=f"Data: .*{message}"):
        index_flip_pairs(("nose", "left_arm", "right_arm"), pairs, "Data", kind="parts")


def test_sides_are_found_however_they_are_written():
    for names in (("LeftArm", "RightArm"), ("arm_left", "arm_right"), ("ARM LEFT", "ARM RIGHT")):
        with pytest.raises(ConfigError, match="named after a side"):
            index_flip_pairs(names, [], "Data")
        assert index_flip_pairs(names, [names], "Data") == ((0, 1),)
    assert index_flip_pairs(("cleft", "brightness"), [], "Data") == ()


def test_a_metainfo_without_names_or_pairs_says_nothing():
    assert pairs_of({"classes": ("a", "b")}, "classes") is None
    assert pairs_of({"classes": ("a", "b"), "flip_pairs": [("b", "a")]}, "keypoints") is None
    assert pairs_of({"classes": ("a", "b"), "flip_pairs": [("b", "a")]}, "classes") == ((1, 0),)
