"""Polygons and run lengths give the masks back."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco
from sapiens_lite.regions import polygons_of, run_lengths_of

from tests.lite.conftest import ROOT  # noqa: F401  puts lite/ on the path


def filled(polygons, size_hw):
    """Counts, of each pixel, how many polygons its centre lies in, holes against."""
    counts = np.zeros(size_hw, int)
    for part in polygons:
        for points, sign in [(part["points"], 1), *((hole, -1) for hole in part["holes"])]:
            corners = np.array(points, np.int32).reshape(-1, 1, 2) * 2  # centres at odd numbers
            canvas = np.zeros((2 * size_hw[0] + 1, 2 * size_hw[1] + 1), np.uint8)
            cv2.fillPoly(canvas, [corners], 1)
            counts += sign * canvas[1::2, 1::2].astype(int)
    return counts


def area(points):
    x, y = np.array(points).reshape(-1, 2).T
    return (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2


MASKS = {
    "noise": np.random.default_rng(0).random((23, 31)) < 0.5,
    "dense noise": np.random.default_rng(1).random((31, 23)) < 0.8,
    "one pixel": np.pad(np.ones((1, 1), bool), 3),
    "all": np.ones((4, 6), bool),
    "line": np.pad(np.ones((1, 7), bool), 2),
    "corner": np.eye(2, dtype=bool),
    "ring in a ring": np.pad(np.pad(np.pad(np.ones((2, 3), bool), 2), 2, constant_values=True), 1),
}


@pytest.mark.parametrize("name", MASKS)
def test_filling_gives_the_mask_back(name):
    mask = MASKS[name]
    parts = polygons_of(mask.view(np.uint8))[1]
    np.testing.assert_array_equal(filled(parts, mask.shape), mask)
    assert sum(area(p["points"]) + sum(map(area, p["holes"])) for p in parts) == mask.sum()
    assert len(parts) == cv2.connectedComponents(mask.view(np.uint8), connectivity=4)[0] - 1
    for part in parts:
        assert area(part["points"]) > 0 and all(area(hole) < 0 for hole in part["holes"])


def test_only_corners_are_listed_and_holes_belong_to_their_part():
    mask = MASKS["ring in a ring"]
    inner, outer = sorted(polygons_of(mask.view(np.uint8))[1], key=lambda part: len(part["holes"]))
    assert sorted(zip(inner["points"][::2], inner["points"][1::2], strict=True)) == [
        (5, 5), (5, 7), (8, 5), (8, 7),
    ]  # fmt: skip
    (hole,) = outer["holes"]
    assert len(outer["points"]) == len(hole) == 8 and inner["holes"] == []


@pytest.mark.parametrize("name", MASKS)
def test_coco_reads_the_run_lengths(name):
    mask = MASKS[name]
    lengths = run_lengths_of(mask.view(np.uint8))[1]
    encoded = coco.frPyObjects(lengths, *mask.shape)
    np.testing.assert_array_equal(coco.decode(encoded) > 0, mask)
    assert coco.area(encoded) == mask.sum()


def test_labels_beside_one_another_share_their_borders():
    labels = np.random.default_rng(2).integers(0, 5, (19, 17), np.uint8)
    labels = labels.repeat(2, axis=0)
    parts, lengths = polygons_of(labels), run_lengths_of(labels)
    assert list(parts) == list(lengths) == [0, 1, 2, 3, 4]
    for label in parts:
        mask = labels == label
        np.testing.assert_array_equal(filled(parts[label], labels.shape), mask)
        encoded = coco.frPyObjects(lengths[label], *labels.shape)
        np.testing.assert_array_equal(coco.decode(encoded) > 0, mask)
