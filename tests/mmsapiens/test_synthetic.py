"""The synthetic people: exact mirror images, exact geometry, all classes, the files of the tool."""

import subprocess
import sys

import numpy as np
import pytest

from engine.errors import DataError
from mmsapiens.synthetic import Scene, render, sample_head
from mmsapiens.synthetic.build import capsule, rotation
from mmsapiens.synthetic.labels import FACE_LABELS
from mmsapiens.synthetic.scene import Background, Light
from mmsapiens.synthetic.solids import Ellipsoid, Material, Solid, swapped_name
from seg.parts.datasets import FaceDataset
from tests.conftest import ROOT

FACE_CLASSES = FaceDataset.METAINFO["classes"]

GREY = Material((0.5, 0.5, 0.5))


def head(seed: int) -> Scene:
    return sample_head(np.random.default_rng([7, seed]))


def scene_of(*solids: Solid) -> Scene:
    light = Light((0.0, 0.0, -1.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    return Scene(solids, light, 4.0, Background(((0.0,) * 3, (1.0,) * 3), (0.1, 0.2)))


@pytest.mark.parametrize("size_hw", [(96, 96), (97, 64), (60, 95)])
@pytest.mark.parametrize("seed", range(6))
def test_mirrored_scene_renders_flipped(seed: int, size_hw: tuple[int, int]) -> None:
    scene = head(seed)
    one, other = render(scene, size_hw), render(scene.mirrored(), size_hw)
    assert other.image.tobytes() == one.image[:, ::-1].tobytes()
    assert other.depth.tobytes() == one.depth[:, ::-1].tobytes()
    np.testing.assert_array_equal(other.normal, one.normal[:, ::-1] * np.float32([-1, 1, 1]))

    swapped_table = {name: FACE_LABELS[swapped_name(name)] for name in FACE_LABELS}
    assert other.part_names == tuple(swapped_name(name) for name in one.part_names)
    np.testing.assert_array_equal(
        other.labels(FACE_LABELS), one.labels(swapped_table)[:, ::-1], strict=True
    )
    last_column = size_hw[1] - 1
    assert list(other.keypoints) == [(0, swapped_name(name)) for _, name in one.keypoints]
    x, y, v = np.array(list(one.keypoints.values())).T
    found = np.array(list(other.keypoints.values())).T
    np.testing.assert_allclose(found, [last_column - x, y, v], rtol=0, atol=1e-4)
    assert one.box_of(0) is not None
    x1, y1, x2, y2 = one.box_of(0)
    np.testing.assert_array_equal(other.box_of(0), [last_column - x2, y1, last_column - x1, y2])


def test_mirroring_keeps_which_of_two_coincident_sides_is_seen() -> None:
    left, right = (Ellipsoid(f"{side}_eye", GREY, np.zeros(3)) for side in ("Left", "Right"))
    scene = scene_of(left, right)
    seen = [
        set(np.array(r.part_names)[r.part].flat) for r in map(render, (scene, scene.mirrored()))
    ]
    assert seen == [{"Background", "Left_eye"}, {"Background", "Right_eye"}]


def test_left_is_the_persons_own() -> None:
    labels = np.stack([render(head(i), (64, 64)).labels(FACE_LABELS) for i in range(8)])
    column = {n: np.nonzero(labels == FACE_LABELS[n])[2].mean() for n in ("Left_eye", "Right_eye")}
    assert column["Left_eye"] > column["Right_eye"] + 5


def test_same_generator_same_picture() -> None:
    one, same, other = (render(head(seed), (48, 48)) for seed in (3, 3, 4))
    assert one.image.tobytes() == same.image.tobytes()
    assert one.image.tobytes() != other.image.tobytes()


def test_every_class_occurs_with_a_useful_share() -> None:
    labels = np.stack([render(head(i), (96, 96)).labels(FACE_LABELS) for i in range(60)])
    share = np.bincount(labels.ravel(), minlength=len(FACE_CLASSES)) / labels.size
    present = [(labels == c).any(axis=(1, 2)).mean() for c in range(len(FACE_CLASSES))]
    assert len(share) == 19
    for name, pixels, pictures in zip(FACE_CLASSES, share, present, strict=True):
        assert pixels > 0.001, name
        assert pictures > 0.1, name


@pytest.mark.parametrize("seed", range(3))
def test_normals_are_unit_and_face_the_camera(seed: int) -> None:
    picture = render(head(seed), (96, 96))
    seen = np.isfinite(picture.depth)
    np.testing.assert_array_equal(seen, picture.part > 0)
    np.testing.assert_allclose(np.linalg.norm(picture.normal[seen], axis=1), 1.0, atol=1e-6)
    assert picture.normal[seen][:, 2].max() <= 1e-6
    assert not picture.normal[~seen].any()


def test_depth_of_a_sphere() -> None:
    radius, centre = 1.2, np.array([0.3, -0.2, 5.0])
    ball = Ellipsoid("Skin", GREY, centre, rotation(0.4, 0.2, 0.1), radii=(radius,) * 3)
    picture = render(scene_of(ball), (64, 48))
    rows, cols = np.nonzero(picture.part)
    x, y = (cols - 23.5) * 4.0 / 64 - centre[0], (rows - 31.5) * 4.0 / 64 - centre[1]
    depth = centre[2] - np.sqrt(radius**2 - x**2 - y**2)
    assert len(rows) == pytest.approx(np.pi * (radius * 16) ** 2, rel=0.01)
    np.testing.assert_allclose(picture.depth[rows, cols], depth, atol=1e-6)
    normal = np.stack([x, y, depth - centre[2]], axis=1) / radius
    np.testing.assert_allclose(picture.normal[rows, cols], normal, atol=1e-5)


@pytest.mark.parametrize("end", [(0.9, 0.4, 4.2), (0.1, 0.5, 4.0), (-0.3, 0.1, 3.0)])
def test_points_of_a_capsules_surface_are_its_radius_from_the_segment(
    end: tuple[float, float, float],
) -> None:
    a, b, radius = np.array([-0.3, 0.1, 5.0]), np.array(end), 0.4
    picture = render(scene_of(capsule("Skin", GREY, a, b, radius)), (64, 64))
    rows, cols = np.nonzero(picture.part)
    points = np.stack([(cols - 31.5) / 16, (rows - 31.5) / 16, picture.depth[rows, cols]], axis=1)
    along = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
    nearest = a + along[:, None] * (b - a)
    np.testing.assert_allclose(np.linalg.norm(points - nearest, axis=1), radius, atol=1e-6)
    # The nearer of the two intersections: the normal looks at the camera.
    assert ((points - nearest)[:, 2] <= 1e-6).all()


def test_keypoints_know_what_hides_them() -> None:
    behind = Ellipsoid("Skin", GREY, np.array([0, 0, 5.0]), keypoints={"Nose": (0.0, 0.0, -1.0)})
    screen = Ellipsoid("Hair", GREY, np.array([0, 0, 2.0]), radii=(0.5, 0.5, 0.5))
    for solids, visible in (((behind,), True), ((behind, screen), False)):
        picture = render(scene_of(*solids), (32, 64))
        np.testing.assert_allclose(picture.keypoints[0, "Nose"], [31.5, 15.5, 1 + visible])


def test_scene_without_solids() -> None:
    picture = render(scene_of(), (8, 8))
    assert picture.box_of(0) is None
    assert picture.keypoints == {}
    assert np.isinf(picture.depth).all()


def test_part_without_a_label_is_an_error() -> None:
    picture = render(scene_of(Ellipsoid("Tail", GREY, np.zeros(3))), (8, 8))
    with pytest.raises(DataError, match="Tail"):
        picture.labels(FACE_LABELS)
    parts = [Ellipsoid(name, GREY, np.zeros(3)) for name in "fdbeac"]
    with pytest.raises(DataError, match="'a', 'b', 'c', 'd', 'e', 'f'"):
        render(scene_of(*parts), (8, 8)).labels(FACE_LABELS)


def test_drawing_does_not_import_pytorch() -> None:
    code = "import sys, mmsapiens.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
