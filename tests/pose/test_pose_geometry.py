import cv2
import numpy as np
import pytest

from engine.data import geometry
from engine.errors import DataError
from pose.geometry import box_to_center_scale, fix_aspect, udp_matrix


def test_equals_the_recorded_matrices(golden):
    recorded = golden("udp_affine")
    size_wh = recorded.meta["input_size"]
    scale = fix_aspect(recorded["in/scale"].numpy(), size_wh)
    np.testing.assert_allclose(scale, recorded["out/scale_fixed"], rtol=1e-6)
    matrices = udp_matrix(recorded["in/center"], scale, size_wh, recorded["in/rot"])
    np.testing.assert_allclose(matrices, recorded["out/matrix"], rtol=0, atol=1e-4)


def test_one_box_or_many():
    boxes = np.array([[10, 20, 50, 120], [0, 0, 300, 40]])
    center, scale = box_to_center_scale(boxes)
    np.testing.assert_array_equal(center, [[30, 70], [150, 20]])
    np.testing.assert_array_equal(scale, [[50, 125], [375, 50]])
    scale = fix_aspect(scale, (192, 256))
    np.testing.assert_array_equal(scale, [[93.75, 125], [375, 500]])
    matrices = udp_matrix(center, scale, (192, 256), [0, 30])
    assert matrices.shape == (2, 2, 3)
    np.testing.assert_allclose(udp_matrix(center[1], scale[1], (192, 256), 30), matrices[1])


def test_outermost_pixel_centres_are_the_boxs_corners():
    matrix = udp_matrix((30, 70), (60, 80), (192, 256))
    corners = np.array([[0, 30], [60, 110]], float)
    np.testing.assert_allclose(
        geometry.transform_points(corners, matrix), [[0, 0], [191, 255]], atol=1e-9
    )


def test_positive_rotation_is_clockwise():
    matrix = udp_matrix((50, 50), (100, 100), (101, 101), 90)
    point = geometry.transform_points(np.array([[60.0, 50.0]]), matrix)
    np.testing.assert_allclose(point, [[50, 60]], atol=1e-9)


def test_points_return_through_the_inverses():
    rng = np.random.default_rng(0)
    matrices = udp_matrix(rng.random((4, 2)), rng.random((4, 2)) + 1, (48, 64), [0, 20, 90, 200])
    points = rng.random((4, 5, 2))
    there = geometry.transform_points(points, matrices)
    np.testing.assert_allclose(
        geometry.transform_points(there, geometry.invert(matrices)), points, atol=1e-9
    )
    np.testing.assert_allclose(there[2], geometry.transform_points(points[2], matrices[2]))


def test_cuts_out_what_the_box_shows():
    image = np.zeros((90, 70), np.uint8)
    cv2.rectangle(image, (20, 30), (39, 69), 255, -1)
    crop = cv2.warpAffine(image, udp_matrix((29.5, 49.5), (19, 39), (20, 40)), (20, 40))
    assert crop.min() == 255


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 9, 8, 5), (0, 0, np.nan, 4), (0, 0, np.inf, 4)])
def test_a_box_without_area_is_an_error(box):
    with pytest.raises(DataError, match="has no area"):
        box_to_center_scale([(0, 0, 5, 5), box])


@pytest.mark.parametrize("padding", [1.0, 2.0])
def test_the_padding_enlarges_the_size_about_the_center(padding):
    center, scale = box_to_center_scale([10, 20, 30, 60], padding)
    assert center.tolist() == [20, 40] and scale.tolist() == [20 * padding, 40 * padding]
