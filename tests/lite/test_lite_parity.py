"""lite/ gives what the full tool gives."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.lite.conftest import TOOLS

STEMS = ("a", "b", "deep/c")


def arrays(folder, suffix=".npy"):
    return [np.load(f"{folder / stem}{suffix}") for stem in STEMS]


def predict(exported, task, photos, tmp_path, lite, full=(), words=(), **options):
    """Runs both tools; returns their folders."""
    model = exported(task)
    ours = tmp_path / "lite"
    assert lite(TOOLS[task], model.path, "--input", photos, "--output_root", ours, *words) == 0
    return model.infer(photos, tmp_path / "full", *full, **options), ours


def test_labels_are_equal_pixel_by_pixel(exported, photos, tmp_path, lite):
    full, ours = predict(exported, "parts", photos, tmp_path, lite)
    for suffix in ("_seg.npy", ".npy"):
        for expected, found in zip(arrays(full, suffix), arrays(ours, suffix), strict=True):
            assert expected.dtype == found.dtype
            np.testing.assert_array_equal(expected, found)
    assert all(len(np.unique(labels)) > 3 for labels in arrays(full, "_seg.npy"))


@pytest.mark.parametrize("task", ["depth", "normals"])
def test_depth_and_normals_are_equal(exported, photos, tmp_path, lite, task):
    full, ours = predict(exported, task, photos, tmp_path, lite)
    for expected, found in zip(arrays(full), arrays(ours), strict=True):
        assert expected.dtype == found.dtype and np.ptp(expected) > 0.01
        np.testing.assert_allclose(found, expected, atol=5e-5)


def test_pictures_inside_masks_are_equal(exported, photos, tmp_path, lite):
    for task in ("depth", "normals"):
        masks = tmp_path / "masks" / "deep"
        masks.mkdir(parents=True, exist_ok=True)
        for stem, size_hw in zip(STEMS, [(250, 170), (55, 100), (50, 31)], strict=True):
            mask = np.zeros(size_hw, bool)
            mask[10:40, 5:25] = True
            if stem == "b":  # of 16 bits, with values that 8 would lose
                cv2.imwrite(str(masks.parent / "b_mask.png"), mask.astype(np.uint16))
            else:
                np.save(masks.parent / f"{stem}.npy", mask)
        given = ["--seg-dir", masks.parent]
        full, ours = predict(exported, task, photos, tmp_path / task, lite, given, given)
        for stem in STEMS:
            expected, found = (cv2.imread(f"{folder / stem}.png") for folder in (full, ours))
            assert np.abs(expected.astype(int) - found).max() <= 1


def people_of(path: Path, key):
    return json.loads(path.read_text())[key]


@pytest.mark.parametrize("flip", [False, True])
def test_keypoints_are_equal(exported, photos, tmp_path, lite, flip):
    boxes = {"a.jpg": [[10, 5, 120, 240, 0.9], [-20, 30, 60, 100]], "b.png": []}
    boxes["deep/c.png"] = [[0, 0, 31, 50]]
    given = tmp_path / "boxes.json"
    given.write_text(json.dumps(boxes))
    more = ["--flip"] if flip else []
    full, ours = predict(
        exported,
        "pose",
        photos,
        tmp_path,
        lite,
        ["--boxes", given],
        ["--det-checkpoint", given, "--batch-size", 2, "--num-keypoints", 17, *more],
        **{"model.test_views.flip": flip},
    )
    for stem, num in zip(STEMS, (2, 0, 1), strict=True):
        expected = people_of(full / f"{stem}.json", "instances")
        found = people_of(ours / f"{stem}.json", "instance_info")
        assert len(expected) == len(found) == num
        for one, other in zip(expected, found, strict=True):
            for key, most in {"keypoints": 0.02, "keypoint_scores": 1e-5, "bbox": 0}.items():
                np.testing.assert_allclose(other[key], one[key], rtol=0, atol=most)


def test_features_are_equal_but_for_rounding_of_the_pixels(exported, photos, tmp_path, lite):
    full, ours = predict(exported, "features", photos, tmp_path, lite)
    for expected, found in zip(arrays(full), arrays(ours), strict=True):
        assert expected.dtype == found.dtype and expected.shape == found.shape
        assert np.abs(expected - found).max() < 0.02 * np.abs(expected).max()
