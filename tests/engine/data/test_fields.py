import numpy as np
import pytest

from engine.data import FIELDS, RandomFlip, Warp, geometry
from engine.data.fields import swap_labels, turn_normals
from engine.data.warp import transform_boxes
from engine.errors import ConfigError

MIRROR = geometry.flip((4, 4))


def test_a_mirror_swaps_labels_at_once_and_keeps_the_ignored(make_sample):
    labels = np.array([[0, 1, 2, 3, 255]], np.uint8)
    sample = make_sample()
    assert swap_labels(labels, MIRROR, sample).tolist() == [[0, 2, 1, 3, 255]]
    assert swap_labels(labels, geometry.rotate(180, (4, 4)), sample) is labels


def test_random_flips_pairs_go_before_the_datasets(make_sample):
    sample = RandomFlip(prob=1, swap_seg_labels=[(0, 3)])(make_sample((40, 30)))
    before = sample["seg_map"]
    after = Warp()(sample)["seg_map"]
    np.testing.assert_array_equal(after, np.array([3, 1, 2, 0])[before[:, ::-1]])


def test_no_or_impossible_pairs_are_errors(make_sample):
    sample = make_sample(swap_seg_labels=[(1, 4)])
    with pytest.raises(ConfigError, match=r"\(1, 4\).*4 classes.*0\.\.3"):
        swap_labels(sample["seg_map"], MIRROR, sample)
    with pytest.raises(ConfigError, match="flip_pairs"):
        swap_labels(sample["seg_map"], MIRROR, {"metainfo": {}})


def unit(*xyz):
    return (np.array(xyz) / np.linalg.norm(xyz)).astype(np.float32).reshape(1, 1, 3)


@pytest.mark.parametrize(
    ("matrix", "before", "after"),
    [
        (geometry.flip((4, 4)), (0.3, 0.5, 0.9), (-0.3, 0.5, 0.9)),
        (geometry.rotate(90, (4, 4)), (1, 0, 1), (0, -1, 1)),  # clockwise; y points up
        (geometry.resize((4, 4), (12, 12)), (0.3, 0.5, 0.9), (0.3, 0.5, 0.9)),
        # Twice as wide: along x the slope falls to half; the zoom part, sqrt(2), acts on z too.
        (geometry.resize((4, 4), (4, 8)), (1, 0, 1), (1 / 2, 0, 1 / np.sqrt(2))),
    ],
    ids=["flip", "rotation", "zoom", "stretch"],
)
def test_normals_turn_with_the_image(matrix, before, after):
    np.testing.assert_allclose(
        turn_normals(unit(*before), matrix, {}), unit(*after), rtol=1e-6, atol=1e-6
    )


def test_normals_are_those_of_the_mapped_surface():
    """The normal of a mapped plane is the cross product of its mapped tangents."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        linear = rng.normal(size=(2, 2))
        upright = linear * [[1, -1], [-1, 1]]  # the same map where y points up
        space = np.diag([0, 0, np.sqrt(abs(np.linalg.det(linear)))])
        space[:2, :2] = upright
        tangents = rng.normal(size=(2, 3))
        normal = unit(*np.cross(*tangents))
        mapped = unit(*np.cross(*(tangents @ space.T)))
        turned = turn_normals(normal, np.column_stack([linear, [0, 0]]), {})
        sign = np.sign(np.linalg.det(linear))  # a cross product changes sign in a mirror
        np.testing.assert_allclose(turned, sign * mapped, atol=1e-5)
        assert turned.dtype == np.float32


def test_pixels_without_a_normal_stay_without():
    nowhere = np.full((1, 1, 3), np.nan, np.float32)
    assert np.isnan(turn_normals(nowhere, MIRROR, {})).all()


def test_keypoints_move_and_a_mirror_exchanges_sides(make_sample):
    keypoints = np.array([[[2, 5], [20, 6], [9, 7]]], np.float32)
    visible = np.array([[1, 0, 1]], np.float32)
    sample = make_sample((40, 30), keypoints=keypoints, keypoints_visible=visible)
    del sample["seg_map"]
    with pytest.raises(ConfigError, match="lacks keypoints or flip_pairs"):
        Warp()(RandomFlip(prob=1)(dict(sample)))
    sample["metainfo"] = {"keypoints": ("left", "right", "nose"), "flip_pairs": [("left", "right")]}
    sample = Warp()(RandomFlip(prob=1)(sample))
    assert sample["keypoints"].tolist() == [[[9, 6], [27, 5], [20, 7]]]
    assert sample["keypoints_visible"].tolist() == [[0, 1, 1]]


def test_boxes_enclose_their_mapped_corners():
    boxes = np.array([[1, 2, 3, 6]], np.float32)
    assert transform_boxes(boxes, geometry.flip((10, 10))).tolist() == [[6, 2, 8, 6]]
    turned = transform_boxes(boxes, geometry.rotate(90, (11, 11)))
    np.testing.assert_allclose(turned, [[4, 1, 8, 3]], atol=1e-6)


def test_every_field_of_the_contract_has_a_row():
    assert {"img", "seg_map", "mask", "depth", "normal", "keypoints", "bbox"} <= FIELDS.keys()
