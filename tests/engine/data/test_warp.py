import cv2
import mmcv
import numpy as np
import pytest
from mmengine.dataset import Compose
from PIL import Image

from engine.data import RandomFlip, Resize, Warp, geometry
from engine.errors import ConfigError, DataError
from tests.conftest import CLASSES

TRAIN_GEOMETRY = [
    {"type": "RandomResize", "ratio_range": (0.6, 2.0), "size_hw": (48, 36)},
    {"type": "RandomCrop", "cat_max_ratio": 0.75, "size_hw": (48, 36)},
    {"type": "Resize", "size_hw": (48, 36)},
    {"type": "RandomRotate", "prob": 0.5, "degree": 45},
    {"type": "RandomFlip", "prob": 0.5},
]

MATRICES = {
    "upscaled crop": geometry.compose(geometry.resize((40, 30), (71, 55)), geometry.crop(4, 7)),
    "shifted by parts of a pixel": geometry.crop(0.3, -0.4),
    "partly outside": geometry.crop(-10, 12),
    "rotated": geometry.rotate(27, (40, 30)),
    "rotated and mirrored": geometry.compose(
        geometry.rotate(-63, (40, 30)), geometry.flip((48, 36))
    ),
}


def origins(matrix, size_hw):
    """Where each output pixel's centre (H, W, 2) comes from."""
    x, y = np.meshgrid(np.arange(float(size_hw[1])), np.arange(float(size_hw[0])))
    return geometry.transform_points(np.stack([x, y], -1), geometry.invert(matrix))


def pixel(image, x, y, border):
    """The pixels at integer x, y, or ``border`` outside."""
    inside = (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0])
    values = image[y.clip(0, image.shape[0] - 1), x.clip(0, image.shape[1] - 1)]
    return np.where(inside.reshape(inside.shape + (1,) * (image.ndim - 2)), values, border)


def warp_linear_by_hand(image, matrix, size_hw, border=0.0):
    """Bilinear interpolation in float64 (H, W, 3)."""
    x, y = np.moveaxis(origins(matrix, size_hw), -1, 0)
    slack = 1e-9
    inside = (x >= -0.5 - slack) & (x <= image.shape[1] - 0.5 + slack)
    inside &= (y >= -0.5 - slack) & (y <= image.shape[0] - 0.5 + slack)
    if inside.all():
        x, y = x.clip(0, image.shape[1] - 1), y.clip(0, image.shape[0] - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right_part, bottom_part = (x - left)[..., None], (y - top)[..., None]
    upper = (1 - right_part) * pixel(image, left, top, border)
    upper = upper + right_part * pixel(image, left + 1, top, border)
    lower = (1 - right_part) * pixel(image, left, top + 1, border)
    lower = lower + right_part * pixel(image, left + 1, top + 1, border)
    return (1 - bottom_part) * upper + bottom_part * lower


def warp_nearest_by_hand(labels, matrix, size_hw, border):
    x, y = np.moveaxis(np.floor(origins(matrix, size_hw) + 0.5).astype(int), -1, 0)
    return pixel(labels, x, y, border)


def far_from_ties(matrix, size_hw):
    """Where no neighbour is almost as near as the nearest."""
    parts = (origins(matrix, size_hw) + 0.5) % 1
    return ((parts > 1e-3) & (parts < 1 - 1e-3)).all(-1)


def warped(sample, matrix, size_hw, **kwargs):
    return Warp(**kwargs)({**sample, "matrix": matrix, "size_hw": size_hw})


@pytest.mark.parametrize("name", MATRICES)
def test_warp_equals_the_matrix_applied_by_hand(name, make_sample):
    matrix, size_hw = MATRICES[name], (48, 36)
    sample = make_sample((40, 30))
    result = warped({**sample, "swap_seg_labels": []}, matrix, size_hw)
    by_hand = warp_linear_by_hand(sample["img"], matrix, size_hw)
    # The exact value rounded, give or take float32 coordinates.
    assert np.abs(result["img"] - by_hand).max() < 0.51
    by_hand = warp_nearest_by_hand(sample["seg_map"], matrix, size_hw, 255)
    clear = far_from_ties(matrix, size_hw)
    assert clear.mean() > 0.8
    np.testing.assert_array_equal(result["seg_map"][clear], by_hand[clear])


def test_random_geometry_applied_lazily_equals_its_matrix_applied_by_hand(make_sample):
    lazy = Compose(TRAIN_GEOMETRY)
    kinds = set()
    for seed in range(40):
        before = lazy(make_sample((40, 30), seed=seed, swap_seg_labels=[]))
        image, labels, matrix = before["img"], before["seg_map"], before["matrix"]
        after = Warp()(dict(before))
        assert after["img"].shape == (48, 36, 3)
        np.testing.assert_array_equal(after["warp_matrix"], matrix)
        np.testing.assert_array_equal(after["matrix"], geometry.identity())
        scale = np.linalg.norm(matrix[:, :2], axis=0).min()
        assert scale > 0.5, "else areas are averaged, which by_hand does not"
        by_hand = warp_linear_by_hand(image, matrix, (48, 36))
        # The full-frame path is cv2.resize, whose 8-bit weights are coarser.
        assert np.abs(after["img"] - by_hand).max() < 1.2
        by_hand = warp_nearest_by_hand(labels, matrix, (48, 36), 255)
        clear = far_from_ties(matrix, (48, 36))
        np.testing.assert_array_equal(after["seg_map"][clear], by_hand[clear])
        kinds.add((geometry.is_mirror(matrix), geometry.is_axis_aligned(matrix)))
    assert len(kinds) == 4


def test_identity_copies_nothing(make_sample):
    sample = make_sample()
    assert np.shares_memory(Warp()(dict(sample))["img"], sample["img"])


@pytest.mark.parametrize("mirrored", [False, True])
def test_whole_pixel_crops_and_mirrors_are_exact(mirrored, make_sample):
    sample = make_sample((40, 30))
    matrix = geometry.crop(4, 7)
    expected = sample["img"][7:27, 4:16], sample["seg_map"][7:27, 4:16]
    if mirrored:
        matrix = geometry.compose(matrix, geometry.flip((20, 12)))
        expected = expected[0][:, ::-1], np.array([0, 2, 1, 3])[expected[1][:, ::-1]]
    result = warped(sample, matrix, (20, 12))
    np.testing.assert_array_equal(result["img"], expected[0])
    np.testing.assert_array_equal(result["seg_map"], expected[1])


def test_flip_twice_is_the_identity_in_every_field(make_sample):
    rng = np.random.default_rng(0)
    fields = {
        "mask": rng.integers(0, 2, (40, 30), dtype=np.uint8),
        "depth": rng.random((40, 30), dtype=np.float32),
        "normal": rng.normal(size=(40, 30, 3)).astype(np.float32),
        "keypoints": rng.random((2, 3, 2), dtype=np.float32) * 30,
        "keypoints_visible": np.array([[1, 0, 1], [0, 1, 1]], np.float32),
        "bbox": np.array([[3, 4, 10, 20]], np.float32),
    }
    fields["normal"] /= np.linalg.norm(fields["normal"], axis=-1, keepdims=True)
    sample = make_sample((40, 30), **fields)
    sample["metainfo"]["keypoints"] = ("Left_eye", "Right_eye", "Nose")
    flip_and_warp = Compose([RandomFlip(prob=1), Warp()])
    once = flip_and_warp(dict(sample))
    twice = flip_and_warp(dict(once))
    for name in ("img", "seg_map", *fields):
        np.testing.assert_allclose(twice[name], sample[name], atol=1e-5, err_msg=name)
        assert twice[name].dtype == sample[name].dtype
        assert not np.array_equal(once[name], sample[name])
    np.testing.assert_array_equal(twice["warp_matrix"], geometry.identity())


@pytest.mark.parametrize("size_hw", [(64, 48), (17, 23), (80, 60)])
def test_full_frame_resize_is_the_stock_one(size_hw, make_sample):
    sample = make_sample((40, 30))
    result = Warp()(Resize(size_hw=size_hw)(dict(sample)))
    expected = mmcv.imresize(sample["img"], size_hw[::-1], interpolation="bilinear")
    np.testing.assert_array_equal(result["img"], expected)
    matrix = geometry.resize((40, 30), size_hw)
    expected = warp_nearest_by_hand(sample["seg_map"], matrix, size_hw, 255)
    np.testing.assert_array_equal(result["seg_map"], expected)


def test_full_frame_resize_is_the_recorded_one(golden):
    recorded = golden("seg").arrays
    image, expected = recorded["in/image_bgr"], recorded["in/image_resized_bgr"]
    pipeline = Compose([{"type": "LoadImage"}, Resize(size_hw=expected.shape[:2]), Warp()])
    np.testing.assert_array_equal(pipeline({"img": image})["img"], expected)


def test_halfway_centres_go_to_the_higher_index_and_mirror_with_the_image(make_sample):
    labels = np.arange(8, dtype=np.uint8)[None].repeat(8, 0)
    sample = make_sample((8, 8), seg_map=labels, swap_seg_labels=[])
    sample["metainfo"] = {"classes": range(8)}
    half = Resize(size_hw=(4, 4))(sample)
    assert Warp()(dict(half))["seg_map"][0].tolist() == [1, 3, 5, 7]
    assert Warp()(RandomFlip(prob=1)(dict(half)))["seg_map"][0].tolist() == [7, 5, 3, 1]


def test_borders(make_sample):
    ones = np.ones((40, 30), np.float32)
    fields = {
        "seg_map": ones.astype(np.uint8),
        "mask": ones.astype(np.uint8),
        "depth": ones,
        "normal": np.dstack([ones * 0, ones * 0, ones]),
    }
    sample = make_sample((40, 30), **fields)
    for matrix in (geometry.crop(0, 20), geometry.rotate(45, (40, 30))):
        result = warped(sample, matrix, (40, 30))
        corner = {name: result[name][-1, -1] for name in ("img", *fields)}
        assert corner["img"].tolist() == [0, 0, 0]
        assert corner["seg_map"] == 255 and corner["mask"] == 0
        assert np.isnan(corner["depth"]) and np.isnan(corner["normal"]).all()
        assert warped(sample, matrix, (40, 30), seg_pad_val=0)["seg_map"][-1, -1] == 0


def test_the_border_does_not_bleed_into_a_canvas_inside_the_image(make_sample):
    sample = make_sample((40, 30), img=np.full((40, 30, 3), 200, np.uint8))
    matrix = geometry.compose(geometry.resize((40, 30), (160, 120)), geometry.crop(0, 0))
    result = warped(sample, matrix, (100, 90))
    assert (result["img"] == 200).all()
    rotated = warped(sample, geometry.rotate(10, (40, 30)), (40, 30))
    assert (rotated["img"] < 200).any()


def test_strong_shrinking_averages_areas(make_sample):
    """A checkerboard becomes grey, where bilinear sampling alone would show its squares."""
    board = (np.indices((240, 240)).sum(0) % 2 * 255).astype(np.uint8)
    sample = make_sample((240, 240), img=np.dstack([board] * 3), seg_map=board * 0)
    matrix = geometry.compose(geometry.resize((240, 240), (60, 60)), geometry.rotate(10, (60, 60)))
    inner = warped(sample, matrix, (60, 60))["img"][15:45, 15:45]
    assert np.abs(inner.astype(int) - 127).max() <= 1


def test_area_averaging_does_not_shift_the_image(make_sample):
    ramp = np.linspace(0, 255, 241).astype(np.uint8)[None].repeat(200, 0)
    sample = make_sample((200, 241), img=np.dstack([ramp] * 3), seg_map=ramp * 0)
    matrix = geometry.compose(geometry.resize((200, 241), (40, 55)), geometry.crop(5, 5))
    result = warped(sample, matrix, (30, 40))
    by_hand = warp_linear_by_hand(sample["img"], matrix, (30, 40))
    assert np.abs(result["img"] - by_hand).max() < 1.5


@pytest.mark.parametrize("blocks", [(4, 1), (1, 4)])
def test_areas_are_averaged_along_one_axis_alone(blocks, make_sample):
    rows, columns = blocks
    size_hw = (60 * rows, 60 * columns)
    noise = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    sample = make_sample(size_hw, img=noise, seg_map=noise[..., 0] * 0)
    turn = geometry.rotate(5, (60, 60))
    matrix = geometry.compose(geometry.resize(size_hw, (60, 60)), turn)
    result = warped(sample, matrix, (60, 60))["img"]
    blocks = noise.reshape(60, rows, 60, columns, 3).mean(axis=(1, 3))
    assert np.abs(result - warp_linear_by_hand(blocks, turn, (60, 60))).max() < 1.5


@pytest.mark.parametrize("degrees", [5, 30, 90])
def test_areas_are_averaged_along_the_axes_of_the_image(degrees, make_sample):
    """8 to 1 and 2 to 1, and turned: blocks of 8 x 2 pixels are averaged, whatever the turn."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (120, 480, 3), np.uint8)
    sample = make_sample((120, 480), img=noise, seg_map=noise[..., 0] * 0)
    shrink, turn = geometry.resize((120, 480), (60, 60)), geometry.rotate(degrees, (60, 60))
    result = warped(sample, geometry.compose(shrink, turn), (60, 60))["img"]
    blocks = noise.reshape(60, 2, 60, 8, 3).mean(axis=(1, 3))
    by_hand = warp_linear_by_hand(blocks, turn, (60, 60))
    assert np.abs(result - by_hand).max() < 1.5


@pytest.mark.parametrize("left, top", [(7, 0), (0, 9), (0, 17), (12, 0)])
def test_a_part_that_touches_opposite_edges_repeats_both(left, top, make_sample):
    """All columns of some rows, or all rows of some columns; one pixel more takes in the border."""
    sample = make_sample((40, 30), img=np.full((40, 30, 3), 200, np.uint8))
    size_hw = (23, 30) if left == 0 else (40, 18)
    matrix = geometry.compose(geometry.crop(left, top), geometry.resize(size_hw, (300, 310)))
    assert (warped(sample, matrix, (300, 310))["img"] == 200).all()
    edges = np.s_[:, [0, -1]] if left == 0 else np.s_[[0, -1]]
    more = warped(sample, geometry.compose(matrix, geometry.crop(-1, -1)), (302, 312))["img"]
    assert (more[edges] < 200).all()
    for shift in (-1, 1):
        shifted = geometry.compose(matrix, geometry.crop(shift, shift))
        assert (warped(sample, shifted, (300, 310))["img"][edges] < 200).any()


def test_a_field_of_another_size_is_an_error_that_names_it(make_sample):
    sample = make_sample((40, 30), depth=np.ones((30, 40), np.float32))
    with pytest.raises(DataError, match=r"depth of face\.png is \(30, 40\).*\(40, 30\)"):
        Warp()(sample)


def pillow_bicubic(image, box, size_hw):
    left, top, right, bottom = box
    part = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    return np.asarray(part.resize(size_hw[::-1], Image.BICUBIC))


@pytest.mark.parametrize("size_hw", [(64, 48), (200, 150), (17, 40), (23, 11)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_bicubic_is_pillows_at_every_scale(size_hw, mirrored, make_sample):
    sample = make_sample((90, 80), swap_seg_labels=[])
    # On bare noise, results are cut off at 0 and 255 between the two passes.
    sample["img"] = cv2.GaussianBlur(sample["img"], (0, 0), 1)
    matrix = geometry.compose(geometry.crop(7, 3), geometry.resize((70, 60), size_hw))
    expected = pillow_bicubic(sample["img"], (7, 3, 67, 73), size_hw)
    if mirrored:
        matrix = geometry.compose(matrix, geometry.flip(size_hw))
        expected = expected[:, ::-1]
    result = warped(sample, matrix, size_hw, interpolation="bicubic")["img"]
    difference = np.abs(result.astype(int) - expected)
    assert difference.max() <= 2


def test_bicubic_copies_whole_pixel_crops(make_sample):
    sample = make_sample((40, 30))
    result = warped(sample, geometry.crop(4, 7), (20, 12), interpolation="bicubic")
    np.testing.assert_array_equal(result["img"], sample["img"][7:27, 4:16])


@pytest.mark.parametrize("name", MATRICES)
def test_bicubic_is_for_parts_of_whole_pixels(name, make_sample):
    with pytest.raises(ConfigError, match="bilinear"):
        warped(make_sample((40, 30)), MATRICES[name], (48, 36), interpolation="bicubic")


def test_unknown_interpolation():
    with pytest.raises(ConfigError, match="'bilinear', 'bicubic' or 'fixed_point', found 'area'"):
        Warp(interpolation="area")


@pytest.mark.parametrize(("left", "top"), [(-3, 0), (0, -3), (3, 0), (0, 3), (-3, -3)])
def test_whole_pixels_beyond_one_edge_are_the_border(left, top, make_sample):
    sample = make_sample((20, 20), metainfo={"classes": CLASSES, "flip_pairs": ()})
    result = warped(sample, geometry.crop(left, top), (20, 20), seg_pad_val=7)
    x, y = np.meshgrid(np.arange(20) + left, np.arange(20) + top)
    np.testing.assert_array_equal(result["img"], pixel(sample["img"], x, y, 0))
    np.testing.assert_array_equal(result["seg_map"], pixel(sample["seg_map"], x, y, 7))


@pytest.mark.parametrize(
    ("mirror", "order"),
    [(False, np.s_[::-1, ::-1]), (True, np.s_[::-1])],
    ids=["half a turn", "upside down"],
)
def test_half_turns_are_exact(mirror, order, make_sample):
    sample = make_sample((20, 30), metainfo={"classes": CLASSES, "flip_pairs": ()})
    matrix = geometry.rotate(180, (20, 30))
    if mirror:
        matrix = geometry.compose(matrix, geometry.flip((20, 30)))
    result = warped(sample, matrix, (20, 30))
    np.testing.assert_array_equal(result["img"], sample["img"][order])
    np.testing.assert_array_equal(result["seg_map"], sample["seg_map"][order])
