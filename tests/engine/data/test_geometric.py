import copy

import mmcv
import numpy as np
import pytest

from engine.data import (
    RandomCrop,
    RandomFlip,
    RandomResize,
    RandomResizedCrop,
    RandomRotate,
    Resize,
    geometry,
)
from engine.errors import ConfigError, DataError


class CountingGenerator:
    """A generator that counts its draws of integers."""

    def __init__(self, generator):
        self.generator = generator
        self.num_integers = 0

    def integers(self, *args):
        self.num_integers += 1
        return self.generator.integers(*args)


ALL = [
    Resize(size_hw=(64, 48)),
    RandomResize(size_hw=(64, 48), ratio_range=(0.2, 2.0)),
    RandomCrop(size_hw=(20, 20), cat_max_ratio=0.75),
    RandomRotate(prob=0.5, degree=45),
    RandomResizedCrop(size_hw=(20, 20)),
    RandomFlip(prob=0.5),
]


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_lazy_and_drawn_from_the_samples_generator_only(transform, make_sample):
    before = make_sample()
    results = []
    for global_seed in range(2):
        np.random.seed(global_seed)
        results.append([transform(make_sample(seed=seed)) for seed in range(8)])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first["matrix"], second["matrix"])
        assert first["size_hw"] == second["size_hw"]
    np.testing.assert_array_equal(results[0][0]["img"], before["img"])
    if not isinstance(transform, Resize):
        assert any(not np.array_equal(s["matrix"], results[0][0]["matrix"]) for s in results[0])


@pytest.mark.parametrize(
    "make",
    [Resize, RandomCrop, RandomResizedCrop, lambda **k: RandomResize(ratio_range=(0.5, 2), **k)],
)
def test_size_is_required_and_checked(make):
    with pytest.raises(ConfigError, match="input_size_hw"):
        make(size_hw=None)
    with pytest.raises(ConfigError, match=r"\(height, width\)"):
        make(size_hw=(64,))


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomFlip(prob=1.5),
        lambda: RandomRotate(prob=-0.1, degree=3),
        lambda: RandomRotate(prob=0.5, degree=(5, -5)),
        lambda: RandomCrop(size_hw=(4, 4), cat_max_ratio=0),
        lambda: RandomResize(size_hw=(4, 4), ratio_range=(2, 0.5)),
    ],
)
def test_ranges_are_checked(make):
    with pytest.raises(ConfigError, match="found"):
        make()


@pytest.mark.parametrize("size_hw", [(40, 30), (30, 40), (64, 64)])
def test_random_resize_has_mmcvs_sizes(size_hw, make_sample):
    for seed in range(20):
        sample = make_sample(size_hw, seed=seed)
        ratio = copy.deepcopy(sample["rng"]).uniform(0.2, 2.0)
        sample = RandomResize(size_hw=(64, 48), ratio_range=(0.2, 2.0))(sample)
        width, height = mmcv.rescale_size(size_hw[::-1], (int(48 * ratio), int(64 * ratio)))
        assert sample["size_hw"] == (height, width)
        np.testing.assert_array_equal(sample["matrix"], geometry.resize(size_hw, (height, width)))


def test_resize_keeps_the_ratio_on_request(make_sample):
    assert Resize(size_hw=(64, 48))(make_sample((40, 20)))["size_hw"] == (64, 48)
    assert Resize(size_hw=(64, 48), keep_ratio=True)(make_sample((40, 20)))["size_hw"] == (64, 32)


def test_crops_lie_inside_and_reach_every_edge(make_sample):
    offsets = set()
    for seed in range(200):
        sample = RandomCrop(size_hw=(37, 28))(make_sample((40, 30), seed=seed))
        assert sample["size_hw"] == (37, 28)
        np.testing.assert_array_equal(sample["matrix"][:, :2], np.eye(2))
        offsets.add(tuple(-sample["matrix"][:, 2]))
    assert offsets == {(x, y) for x in range(3) for y in range(4)}


def test_a_smaller_canvas_is_kept_and_a_mixed_one_cropped_along_one_axis(make_sample):
    assert RandomCrop(size_hw=(64, 48))(make_sample((40, 30)))["size_hw"] == (40, 30)
    assert RandomCrop(size_hw=(64, 10))(make_sample((40, 30)))["size_hw"] == (40, 10)


def test_crops_avoid_one_label_filling_them(make_sample):
    """Two labels side by side: only crops near the seam hold less than 3/4 of either."""
    seg_map = np.zeros((40, 300), np.uint8)
    seg_map[:, 150:] = 1
    crop = RandomCrop(size_hw=(40, 100), cat_max_ratio=0.75)
    good = 0
    for seed in range(100):
        left = -crop(make_sample((40, 300), seed=seed, seg_map=seg_map))["matrix"][0, 2]
        good += 75 < left < 125
    # A single draw is good with probability 1/4, one of eleven with 1 - (3/4)^11 = 0.96.
    assert good >= 88


@pytest.mark.parametrize("label", [1, 255])
def test_the_last_of_eleven_draws_is_kept(label, make_sample):
    seg_map = np.full((40, 30), label, np.uint8)
    sample = make_sample(seg_map=seg_map)
    sample["rng"] = CountingGenerator(sample["rng"])
    sample = RandomCrop(size_hw=(20, 20), cat_max_ratio=0.75)(sample)
    assert sample["rng"].num_integers == 2 * 11
    assert sample["size_hw"] == (20, 20)


@pytest.mark.parametrize("ignored", [255, 200, 3])
def test_ignored_pixels_do_not_count(ignored, make_sample):
    """Each crop holds a label to 5 %, one to 45 %, and is half ignored: 10 % and 90 %."""
    seg_map = np.full((40, 40), ignored, np.uint8)
    seg_map[:, ::2] = 1
    seg_map[::10, ::2] = 0
    sample = make_sample((40, 40), seg_map=seg_map)
    for cat_max_ratio, draws in ((0.75, 11), (0.95, 1)):
        sample["rng"] = CountingGenerator(np.random.default_rng(0))
        options = {} if ignored == 255 else {"ignore_index": ignored}
        crop = RandomCrop(size_hw=(20, 20), cat_max_ratio=cat_max_ratio, **options)
        crop(dict(sample))
        assert sample["rng"].num_integers == 2 * draws


def test_what_a_crop_shows_outside_of_the_image_is_ignored_by_any_label(make_sample):
    """A turned image leaves corners; with one label in it, no crop is varied."""
    for ignored in (255, 200):
        sample = make_sample((40, 40), seg_map=np.ones((40, 40), np.uint8))
        sample = RandomRotate(prob=1, degree=(45, 45))(sample)
        sample["rng"] = CountingGenerator(np.random.default_rng(0))
        RandomCrop(size_hw=(20, 30), cat_max_ratio=0.99, ignore_index=ignored)(sample)
        assert sample["rng"].num_integers == 2 * 11


def test_the_preview_sees_the_crop_through_the_geometry_before_it(make_sample):
    """The share of a label in the preview is its share in the warped crop."""
    rng = np.random.default_rng(0)
    seg_map = (rng.random((8, 8)) < 0.4).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    sample = make_sample((128, 128), seg_map=seg_map)
    sample = RandomRotate(prob=1, degree=(20, 20))(Resize(size_hw=(256, 200))(sample))
    crop = RandomCrop(size_hw=(100, 90), cat_max_ratio=0.75)
    at = geometry.crop(60, 70)
    preview = crop._preview(sample, at, (100, 90))
    inverse = geometry.invert(geometry.compose(sample["matrix"], at))
    x, y = np.meshgrid(np.arange(90.0), np.arange(100.0))
    origins = geometry.transform_points(np.stack([x, y], -1), inverse).round().astype(int)
    expected = seg_map[origins[..., 1], origins[..., 0]]
    assert preview.mean() == pytest.approx(expected.mean(), abs=0.02)


def test_category_share_needs_labels(make_sample):
    sample = make_sample()
    del sample["seg_map"]
    with pytest.raises(ConfigError, match="put LoadLabels before"):
        RandomCrop(size_hw=(20, 20), cat_max_ratio=0.75)(sample)


def test_rotation_angles_cover_the_range(make_sample):
    angles = []
    for seed in range(200):
        matrix = RandomRotate(prob=0.5, degree=45)(make_sample(seed=seed))["matrix"]
        angles.append(np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0])))
    turned = [angle for angle in angles if angle != 0]
    assert 70 < len(turned) < 130
    assert min(turned) < -35 and max(turned) > 35 and max(map(abs, turned)) <= 45


def test_flip_happens_with_its_probability_and_is_noted(make_sample):
    samples = [RandomFlip(prob=0.5)(make_sample(seed=seed)) for seed in range(200)]
    flips = [geometry.is_mirror(sample["matrix"]) for sample in samples]
    assert flips == [sample["flip"] for sample in samples]
    assert 70 < sum(flips) < 130
    assert RandomFlip(prob=1)(RandomFlip(prob=1)(make_sample()))["flip"] is False


def resized_crops(size_hw, num=300, to_hw=(32, 32), **kwargs):
    """Boxes (num, 4) top, left, height, width that RandomResizedCrop takes."""
    transform = RandomResizedCrop(size_hw=to_hw, **kwargs)
    boxes = []
    for seed in range(num):
        sample = {"size_hw": size_hw, "matrix": geometry.identity()}
        sample = transform({**sample, "rng": np.random.default_rng(seed)})
        assert sample["size_hw"] == to_hw
        edges = np.array([[-0.5, -0.5], [to_hw[1] - 0.5, to_hw[0] - 0.5]])
        (left, top), (right, bottom) = (
            geometry.transform_points(edges, geometry.invert(sample["matrix"])) + 0.5
        )
        boxes.append((top, left, bottom - top, right - left))
    return np.array(boxes)


def test_resized_crops_have_the_areas_and_aspects_asked_for():
    top, left, height, width = resized_crops((60, 60)).T
    area, aspect = height * width / 3600, width / height
    assert 0.19 < area.min() < 0.25 and 0.9 < area.max() <= 1
    assert 0.72 < aspect.min() < 0.8 and 1.25 < aspect.max() < 1.37
    assert abs(np.log(aspect).mean()) < 0.03
    assert top.min() >= 0 and left.min() >= 0
    assert (top + height).max() <= 60 + 1e-9 and (left + width).max() <= 60 + 1e-9
    np.testing.assert_allclose([top, left], np.rint([top, left]), atol=1e-9)


@pytest.mark.parametrize(
    ("size_hw", "box"), [((10, 100), (0, 43, 10, 13)), ((100, 10), (43, 0, 13, 10))]
)
def test_where_no_draw_fits_the_middle_is_taken(size_hw, box):
    boxes = resized_crops(size_hw, num=20, crop_ratio_range=(0.9, 1.0))
    np.testing.assert_allclose(boxes, [box] * 20, atol=1e-9)


def test_large_crops_lie_on_multiples_of_eight():
    boxes = resized_crops((401, 399))
    large = boxes[(boxes[:, 2:] >= 64).all(axis=1)]
    np.testing.assert_allclose(large / 8, np.rint(large / 8), atol=1e-9)


@pytest.mark.parametrize(
    ("size_hw", "crop_hw"),
    [((67, 67), (67, 67)), ((68, 68), (64, 64)), ((100, 67), (100, 67)), ((67, 100), (67, 100))],
)
def test_a_part_is_large_from_twice_the_size_on_along_both_edges(size_hw, crop_hw):
    aspect = size_hw[1] / size_hw[0]
    options = {"crop_ratio_range": (1, 1), "aspect_ratio_range": (aspect, aspect)}
    (box,) = resized_crops(size_hw, num=1, to_hw=(34, 34), **options)
    np.testing.assert_allclose(box, (0, 0, *crop_hw), atol=1e-9)


def test_images_below_the_smallest_size_are_refused():
    crop = RandomResizedCrop(size_hw=(8, 8), min_size=10)
    sample = {"matrix": geometry.identity(), "img_path": "icon.png"}
    for size_hw in ((10, 30), (30, 10)):
        assert crop({**sample, "size_hw": size_hw, "rng": np.random.default_rng(0)})["size_hw"]
    for size_hw in ((9, 30), (30, 9)):
        message = rf"icon.png is {size_hw[0]}x{size_hw[1]} pixels .*min_size=10"
        with pytest.raises(DataError, match=message):
            crop({**sample, "size_hw": size_hw, "rng": np.random.default_rng(0)})


@pytest.mark.parametrize(
    ("aspect", "box"), [((2, 4), (15, 0, 30, 60)), ((0.25, 0.5), (0, 15, 60, 30))]
)
def test_where_no_draw_fits_a_square_the_middle_has_an_allowed_aspect(aspect, box):
    options = {"crop_ratio_range": (1, 1), "aspect_ratio_range": aspect, "to_hw": (64, 64)}
    boxes = resized_crops((60, 60), num=3, **options)
    np.testing.assert_allclose(boxes, [box] * 3, atol=1e-9)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 7), (3, 2)])
def test_tiny_images_are_enlarged(size_hw):
    assert (resized_crops(size_hw, num=20)[:, 2:] >= 1 - 1e-9).all()


@pytest.mark.parametrize(
    "kwargs",
    [
        {"crop_ratio_range": (0, 1)},
        {"crop_ratio_range": (0.5, 1.5)},
        {"crop_ratio_range": (0.5, 0.2)},
        {"aspect_ratio_range": (2, 1)},
    ],
)
def test_ranges_of_resized_crops_are_checked(kwargs):
    with pytest.raises(ConfigError, match=next(iter(kwargs))):
        RandomResizedCrop(size_hw=(8, 8), **kwargs)
