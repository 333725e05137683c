import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from engine.data.sample import DataSample
from engine.registry import WRITERS
from seg.surface.pictures import (
    DepthVisualizer,
    NormalVisualizer,
    colour_depth,
    colour_normals,
    normals_of_depth,
)

ALL = np.ones((3, 4), bool)


def sample_of(task, values, mask_key=None, mask=None):
    sample = DataSample()
    sample.set_field(PixelData(data=torch.as_tensor(values)), f"pred_{task}_map")
    if mask_key:
        sample.set_field(PixelData(data=torch.as_tensor(mask)[None]), mask_key)
    return sample


def test_depth_is_bright_where_near_and_grey_outside():
    depth = np.array([[1, 2, 3, -50]], np.float32)
    picture = colour_depth(depth, depth > 0).astype(int)
    brightness = picture[0].sum(axis=1)
    assert brightness[0] > brightness[1] > brightness[2]
    assert picture[0, 3].tolist() == [100] * 3


@pytest.mark.parametrize("depth", [np.full((3, 4), 7.0, np.float32), np.ones((3, 4), np.float32)])
@pytest.mark.parametrize("mask", [ALL, ~ALL], ids=["constant", "empty"])
def test_constant_depth_and_empty_masks_are_drawn(depth, mask):
    assert colour_depth(depth, mask).shape == (3, 4, 3)
    assert np.isfinite(normals_of_depth(depth, mask)).all()


def test_depth_that_is_not_finite_outside_the_mask_does_not_matter():
    depth = np.array([[1, 2, np.nan, np.inf]], np.float32)
    mask = np.array([[True, True, False, False]])
    assert colour_depth(depth, mask)[0, 2:].tolist() == [[100] * 3] * 2
    assert np.isfinite(normals_of_depth(depth, mask)).all()


def test_normals_of_depth_face_where_the_surface_does():
    y, x = np.indices((20, 20)).astype(np.float32)
    everywhere = np.ones((20, 20), bool)
    right, down = (normals_of_depth(d, everywhere)[10, 10] for d in (x, y))
    assert right[0] > 0.5 and abs(right[1]) < 1e-6 and right[2] > 0
    assert down[1] < -0.5  # farther below: it faces down, and y points up


def test_colours_of_normals():
    normal = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]], np.float32)
    mask = np.array([[True, True, True, False]])
    expected = [[255, 128, 128], [128, 255, 128], [128, 128, 255], [0, 0, 0]]
    assert colour_normals(normal, mask)[0].tolist() == expected


@pytest.mark.parametrize("task, panels", [("depth", 3), ("normal", 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_writers(tmp_path, task, panels, masked):
    rng = np.random.default_rng(0)
    values = rng.random((1 if task == "depth" else 3, 6, 8)).astype(np.float32)
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 3:6] = 1
    image = rng.integers(0, 256, (6, 8, 3), np.uint8)
    sample = sample_of(task, values, "mask" if masked else None, mask)
    writer = WRITERS.build(dict(type=f"{task.capitalize()}Writer"))
    writer.write(sample, image, tmp_path / "a.b")
    saved = np.load(tmp_path / "a.b.npy")
    np.testing.assert_array_equal(
        saved, values[0] if task == "depth" else values.transpose(1, 2, 0)
    )
    assert saved.dtype == np.float32
    picture = cv2.imread(str(tmp_path / "a.b.png"))
    assert picture.shape == (6, 8 * panels, 3)
    np.testing.assert_array_equal(picture[:, :8], image)
    background = 100 if task == "depth" else 0
    assert (picture[0, 8:16] == background).all() == masked
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.b.npy", "a.b.png"]


@pytest.mark.parametrize("visualizer, channels", [(DepthVisualizer, 1), (NormalVisualizer, 3)])
def test_visualizers_draw_image_truth_and_prediction(visualizer, channels):
    vis = visualizer(name=f"test_{visualizer.__name__}", max_height=10)
    values = torch.rand(channels, 20, 16)
    mask = torch.zeros(20, 16)
    mask[5:10, 3:9] = 1
    sample = sample_of(vis.map_name.removesuffix("_map"), values, "gt_mask", mask)
    image = np.zeros((20, 16, 3), np.uint8)
    assert vis.draw(image, sample).shape == (10, 16, 3)
    sample.set_field(PixelData(data=values), f"gt_{vis.map_name}")
    picture = vis.draw(image, sample)
    assert picture.shape == (10, 24, 3)
    np.testing.assert_array_equal(picture[:, 8:16], picture[:, 16:])
    # Evaluation keeps labels at the size of the original image.
    assert vis.draw(np.zeros((40, 32, 3), np.uint8), sample).shape == (10, 24, 3)


def test_colours_of_depth_do_not_flicker_in_a_video():
    """Somebody comes into a still scene, near the camera, and leaves: nothing else changes."""
    scene = np.tile(np.linspace(2, 3, 40, dtype=np.float32), (20, 1))
    passing = scene.copy()
    passing[5:15, 5:15] = 1
    image = np.zeros((20, 40, 3), np.uint8)
    writer = WRITERS.build({"type": "DepthWriter"})
    draw = writer.frame_drawer()
    samples = [sample_of("depth", depth[None]) for depth in (scene, passing, scene)]
    before, during, after = (draw(sample, image)[:, 40:] for sample in samples)
    np.testing.assert_array_equal(before, writer.picture(samples[0], image)[:, 40:])
    depth_during, normals_during = during[:, :40], during[:, 40:]
    np.testing.assert_array_equal(depth_during[16:], after[16:, :40])
    np.testing.assert_array_equal(normals_during[:, 25:], after[:, 65:])
    by_image = [writer.picture(sample, image)[16:, 40:80] for sample in samples]
    assert np.abs(by_image[1].astype(int) - by_image[2]).max() > 50, "alone, each has its own"
    again = writer.frame_drawer()
    np.testing.assert_array_equal(again(samples[0], image)[:, 40:], before)
