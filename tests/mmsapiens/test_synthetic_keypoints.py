"""The keypoints of synthetic people, by the names of COCO, COCO-WholeBody and Goliath."""

import numpy as np
import pytest

from engine.errors import DataError
from mmsapiens.synthetic import (
    keypoints_of,
    render,
    sample_group,
    sample_head,
    sample_person,
)
from mmsapiens.synthetic.keypoint_names import scene_name
from pose.metainfo import METAINFOS

GARMENTS = {"Shirt", "Coat", "Dress", "Jumpsuit", "Pants", "Skirt", "Bag", "Scarf"}
FOOT = ("foot", "shoe", "sock")


@pytest.mark.parametrize("dataset", ["coco", "coco_wholebody", "goliath"])
@pytest.mark.parametrize("seed", range(4))
def test_mirrored_scene_has_the_flipped_keypoints(dataset: str, seed: int) -> None:
    metainfo, (height, width) = METAINFOS[dataset], (128, 97)
    scene = sample_group(np.random.default_rng([seed, 8]), 2)
    one, other = (render(s, (height, width)) for s in (scene, scene.mirrored()))
    swap = list(range(metainfo.num_keypoints))
    for left, right in metainfo.flip_pairs:
        i, j = metainfo.keypoints.index(left), metainfo.keypoints.index(right)
        swap[i], swap[j] = j, i
    for person in range(2):
        expected = keypoints_of(one, metainfo.keypoints, person)[swap]
        expected[:, 0] = width - 1 - expected[:, 0]
        found = keypoints_of(other, metainfo.keypoints, person)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dataset", ["coco", "goliath"])
def test_no_two_keypoints_are_one(dataset: str) -> None:
    names = [scene_name(name) for name in METAINFOS[dataset].keypoints]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("left_knee", "Left_knee"),
        ("right_forefinger_third_joint", "Right_forefinger1"),
        ("inner_corner_of_r_nostril", "Right_inner_corner_of_nostril"),
        ("r_midpoint_1_of_upper_lash_line", "Right_midpoint_2_of_upper_lash_line"),
        ("l_midpoint_1_of_upper_lash_line", "Left_midpoint_1_of_upper_lash_line"),
        ("midpoint_3_of_upper_outer_lip", "Right_midpoint_6_of_upper_outer_lip"),
        ("r_border_of_iris_3", "Right_border_of_iris_9"),
        ("face-8", "Chin"),
        ("face-36", "Right_outer_end_of_upper_lash_line"),
        ("face-54", "Left_outer_corner_of_mouth"),
    ],
)
def test_scene_name(name: str, known_as: str) -> None:
    assert scene_name(name) == known_as


def test_numbers_of_a_line_run_from_the_image_left_to_its_right() -> None:
    """As Goliath counts on both eyes."""
    order = (3, 1, 4, 5, 2, 6)
    frontal = 0
    for seed in range(20):
        picture = render(sample_head(np.random.default_rng([seed, 5])), (64, 64))
        if (keypoints_of(picture, ["left_ear", "right_ear"])[:, 2] == 2).all():
            frontal += 1
            for side in "lr":
                names = [f"{side}_midpoint_{k}_of_upper_lash_line" for k in order]
                assert (np.diff(keypoints_of(picture, names)[:, 0]) > 0).all()
    assert frontal > 3


def allowed_parts(name: str) -> set[str]:
    """Parts on which a visible keypoint of a left or right limb may lie."""
    side, joint = name.split("_", 1)
    parts = {
        "elbow": ("upper_arm", "lower_arm"),
        "wrist": ("lower_arm", "hand", "glove"),
        "knee": ("upper_leg", "lower_leg", "sock", "shoe"),
        "ankle": ("lower_leg", *FOOT),
        "big_toe": FOOT,
        "forefinger2": ("hand", "glove"),
    }[joint]
    garments = GARMENTS if joint in ("elbow", "wrist", "knee", "ankle") else set()
    return {f"{side.title()}_{part}" for part in parts} | garments


def test_visible_keypoints_lie_on_their_parts() -> None:
    joints = ("elbow", "wrist", "knee", "ankle", "big_toe", "forefinger2")
    names = [f"{side}_{joint}" for side in ("left", "right") for joint in joints]
    seen, right = 0, 0
    for seed in range(40):
        picture = render(sample_person(np.random.default_rng([seed, 6])), (128, 96))
        for name, (x, y, v) in zip(names, keypoints_of(picture, names), strict=True):
            if v == 2:
                corners = {
                    picture.part_names[picture.part[row, col]]
                    for row in (int(np.floor(y)), int(np.ceil(y)))
                    for col in (int(np.floor(x)), int(np.ceil(x)))
                }
                seen += 1
                right += bool(corners & allowed_parts(name))
    assert seen > 150
    assert right / seen > 0.98  # a limb that touches another may hide it within the slack


def test_visibility_and_the_borders_of_the_image() -> None:
    names = METAINFOS["goliath"].keypoints
    v = []
    for seed in range(12):
        picture = render(sample_person(np.random.default_rng([seed, 4])), (96, 72))
        points = keypoints_of(picture, names)
        assert points.dtype == np.float32
        assert np.isfinite(points).all()
        x, y = points[points[:, 2] > 0, :2].T
        assert x.min() >= 0 and x.max() <= 71 and y.min() >= 0 and y.max() <= 95
        v.append(points[:, 2])
    assert all((np.array(v) == value).mean() > 0.05 for value in (0, 1, 2))


def test_unknown_name_is_an_error() -> None:
    picture = render(sample_person(np.random.default_rng(0)), (16, 12))
    with pytest.raises(DataError, match="left_tentacle"):
        keypoints_of(picture, ["nose", "left_tentacle"])
    with pytest.raises(DataError, match="Person 1"):
        keypoints_of(picture, ["nose"], person=1)


def stands_still(variety: float, seed: int) -> bool:
    """Whether shoulders and hips are level, and arms hang below them."""
    scene = sample_group(np.random.default_rng([seed, 9]), 1, variety)
    picture = render(scene, (96, 72))
    joints = ("shoulder", "hip", "elbow", "wrist")
    names = [f"{side}_{joint}" for side in ("left", "right") for joint in joints]
    left, right = keypoints_of(picture, names)[:, 1].reshape(2, len(joints))
    level = np.abs(left - right)[:2].max() < 0.5
    return bool(level and all(y[0] < y[2] < y[3] for y in (left, right)))


def test_without_variety_people_stand_still() -> None:
    assert all(stands_still(0.0, seed) for seed in range(5))
    assert not all(stands_still(1.0, seed) for seed in range(5))
