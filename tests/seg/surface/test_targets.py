"""Depth and normals from the warp to the target; rendered scenes are the oracle."""

import numpy as np
import pytest
from mmengine.dataset import Compose

from engine.data import PackInputs, RandomFlip, RandomRotate, Resize, Warp
from mmsapiens.synthetic import render, sample_person
from seg.surface.reading import axis_signs
from seg.surface.transforms import GenerateDepthTarget, GenerateNormalTarget


def sample_of(size_hw, **fields):
    return {
        "img": np.zeros((*size_hw, 3), np.uint8),
        "rng": np.random.default_rng(0),
        "matrix": np.eye(2, 3),
        "size_hw": size_hw,
        "ori_size_hw": size_hw,
        "metainfo": {},
        **fields,
    }


def rendered(scene, size_hw):
    picture = render(scene, size_hw)
    return sample_of(
        size_hw,
        img=picture.image,
        mask=(picture.person > 0).astype(np.uint8),
        depth=picture.depth,
        normal=picture.normal * np.float32(axis_signs("x right, y down, z away")),
    )


@pytest.mark.parametrize("size_hw", [(96, 72), (90, 67)])
@pytest.mark.parametrize("seed", range(3))
def test_a_mirrored_scene_equals_the_flipped_one(seed, size_hw):
    scene = sample_person(np.random.default_rng(seed))
    mirrored = rendered(scene.mirrored(), size_hw)
    flipped = Compose([RandomFlip(prob=1.0), Warp()])(rendered(scene, size_hw))
    assert flipped["mask"].any()
    for key in ("img", "mask", "depth"):
        np.testing.assert_array_equal(flipped[key], mirrored[key], err_msg=key)
    # The warp normalises what it has turned, which rounds the last bit.
    np.testing.assert_allclose(flipped["normal"], mirrored["normal"], rtol=0, atol=1.2e-7)


RADIUS, BALL_HW = 150.0, (330, 330)


def ball():
    """Unit normals (H, W, 3) of a sphere, y up and z towards the camera, and its mask."""
    y, x = (np.indices(BALL_HW) - (BALL_HW[0] - 1) / 2) / RADIUS
    z_squared = 1 - x**2 - y**2
    normal = np.stack([x, -y, np.sqrt(z_squared.clip(0))], axis=-1).astype(np.float32)
    return normal, (z_squared > 0).astype(np.uint8)


def ellipsoid(matrix, size_hw):
    """Normals of the mapped sphere, by the gradient of its implicit equation at each pixel.

    The map A of the plane, and the zoom sqrt(det A) of depth, take the sphere |p| = R to
    p' M p = R^2 with M = B^-T B^-1, whose gradient is 2 M p.
    """
    linear = matrix[:, :2]
    inverse = np.linalg.inv(linear)
    plane = inverse.T @ inverse
    centre = linear @ [(BALL_HW[1] - 1) / 2, (BALL_HW[0] - 1) / 2] + matrix[:, 2]
    y, x = np.indices(size_hw)
    place = np.stack([x - centre[0], y - centre[1]], axis=-1)
    zoom_squared = abs(np.linalg.det(linear))
    gradient = place @ plane.T
    z_squared = (RADIUS**2 - (place * gradient).sum(-1)) * zoom_squared
    z = np.sqrt(z_squared.clip(0)) / zoom_squared
    normal = np.stack([gradient[..., 0], -gradient[..., 1], z], axis=-1)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True), z_squared > 0


@pytest.mark.parametrize("degrees", [0, 30, -75])
@pytest.mark.parametrize("stretched_hw", [(330, 330), (330, 560), (700, 300)])
@pytest.mark.parametrize("flip", [False, True])
def test_normals_of_a_turned_and_stretched_sphere(degrees, stretched_hw, flip):
    normal, mask = ball()
    steps = [
        RandomRotate(prob=1, degree=(degrees, degrees)),
        Resize(size_hw=stretched_hw),
        RandomRotate(prob=1, degree=(degrees / 2, degrees / 2)),
        RandomFlip(prob=float(flip)),
        Warp(),
    ]
    warped = Compose(steps)(sample_of(BALL_HW, normal=normal, mask=mask))
    expected, inside = ellipsoid(warped["warp_matrix"], stretched_hw)
    compared = (warped["mask"] > 0) & inside & (expected[..., 2] > 0.3)
    assert compared.sum() > 20_000
    cosine = (warped["normal"] * expected).sum(-1)[compared]
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 2


def test_outside_the_canvas_nothing_is_known():
    normal, mask = ball()
    depth = normal[..., 2] + 1
    sample = sample_of(BALL_HW, normal=normal, mask=np.ones_like(mask), depth=depth)
    steps = [RandomRotate(prob=1, degree=(45, 45)), Warp(), GenerateDepthTarget()]
    sample = Compose([*steps, GenerateNormalTarget(), PackInputs()])(sample)["data_samples"]
    outside = sample.gt_mask.data[0] == 0
    assert outside[0, 0] and not outside[165, 165]
    assert sample.gt_depth_map.data[0][outside].eq(-1).all()
    assert sample.gt_normal_map.data[:, outside].eq(-1000).all()
    assert sample.gt_normal_map.data.isfinite().all()
    inside = sample.gt_depth_map.data[0][~outside]
    assert (inside.min(), inside.max()) == (0, 1)
    assert sample.gt_depth_map.data.shape == (1, *BALL_HW)
    assert sample.gt_normal_map.data.shape == (3, *BALL_HW)


def test_worked_example_of_relative_depth():
    depth = np.array([[2, 3, 4, 100]], np.float32)
    mask = np.array([[1, 1, 1, 0]], np.uint8)
    target = GenerateDepthTarget()({"depth": depth, "mask": mask})["depth"]
    assert target.tolist() == [[0, 0.5, 1, -1]] and target.dtype == np.float32


@pytest.mark.parametrize("inside", [0, 1])
def test_one_depth_or_an_empty_mask_teach_nothing(inside):
    sample = {"depth": np.full((2, 2), 5, np.float32), "mask": np.full((2, 2), inside, np.uint8)}
    assert (GenerateDepthTarget()(sample)["depth"] == -1).all()
