import mmcv
import numpy as np
import pytest

from engine.data import geometry

SIZE_HW = (40, 30)
MAPS = {
    "resize": geometry.resize(SIZE_HW, (64, 12)),
    "crop": geometry.crop(3, 5),
    "rotate": geometry.rotate(33, SIZE_HW),
    "flip": geometry.flip(SIZE_HW),
}
POINTS = np.array([[0.0, 0.0], [29.0, 39.0], [7.5, -2.25]])


@pytest.mark.parametrize("name", MAPS)
def test_inverse_undoes_the_map(name):
    matrix = MAPS[name]
    back = geometry.transform_points(
        geometry.transform_points(POINTS, matrix), geometry.invert(matrix)
    )
    np.testing.assert_allclose(back, POINTS, atol=1e-12)


@pytest.mark.parametrize("first", MAPS)
@pytest.mark.parametrize("then", MAPS)
def test_compose_applies_first_then_second(first, then):
    stepwise = geometry.transform_points(geometry.transform_points(POINTS, MAPS[first]), MAPS[then])
    at_once = geometry.transform_points(POINTS, geometry.compose(MAPS[first], MAPS[then]))
    np.testing.assert_allclose(at_once, stepwise, atol=1e-12)


def test_resize_maps_the_image_area_onto_the_other():
    area = np.array([[-0.5, -0.5], [29.5, 39.5]])
    mapped = geometry.transform_points(area, geometry.resize(SIZE_HW, (64, 12)))
    np.testing.assert_allclose(mapped, [[-0.5, -0.5], [11.5, 63.5]], atol=1e-12)


def test_rotation_is_clockwise_about_the_centre():
    quarter = geometry.rotate(90, (5, 5))
    right_of_centre, below_centre = [[4.0, 2.0]], [[2.0, 4.0]]
    np.testing.assert_allclose(
        geometry.transform_points(np.array(right_of_centre), quarter), below_centre, atol=1e-12
    )
    centre = np.array([[14.5, 19.5]])
    np.testing.assert_allclose(
        geometry.transform_points(centre, geometry.rotate(33, SIZE_HW)), centre, atol=1e-12
    )


def test_flip_is_its_own_inverse_and_a_mirror():
    flip = geometry.flip(SIZE_HW)
    assert np.array_equal(geometry.compose(flip, flip), geometry.identity())
    assert geometry.is_mirror(flip)
    assert not geometry.is_mirror(geometry.rotate(180, SIZE_HW))


def test_points_keep_their_dtype_and_leading_axes():
    points = np.zeros((2, 3, 17, 2), np.float32)
    mapped = geometry.transform_points(points, MAPS["rotate"])
    assert mapped.shape == points.shape and mapped.dtype == np.float32


@pytest.mark.parametrize("size_hw", [(512, 512), (480, 640), (640, 480), (3, 1000), (2160, 3840)])
@pytest.mark.parametrize("into_hw", [(1024, 768), (204, 153), (100, 300)])
def test_fit_follows_mmcvs_rule(size_hw, into_hw):
    width, height = mmcv.rescale_size(size_hw[::-1], into_hw[::-1])
    assert geometry.fit_size_hw(size_hw, into_hw) == (height, width)
