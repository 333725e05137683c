import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

from engine.data import geometry
from engine.errors import ConfigError, DataError
from pose.geometry import fix_aspect, udp_matrix
from pose.metainfo import COCO

UPPER, LOWER = ([COCO.ids[n] for n in half] for half in (COCO.upper_body, COCO.lower_body))


def build(name, **kwargs):
    return TRANSFORMS.build(dict(type=name, **kwargs))


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    return {
        "img_path": "a.jpg",
        "metainfo": COCO.as_dict(),
        "rng": np.random.default_rng(1),
        "img": rng.integers(0, 256, (100, 120, 3), np.uint8),
        "ori_size_hw": (100, 120),
        "size_hw": (100, 120),
        "matrix": geometry.identity(),
        "flip": False,
        "bbox": np.array([[20, 10, 60, 90]], np.float32),
        "keypoints": rng.uniform((20, 10), (60, 90), (1, 17, 2)).astype(np.float32),
        "keypoints_visible": np.ones((1, 17), np.float32),
    }


def test_center_and_scale(sample):
    sample = build("GetBBoxCenterScale", padding=1.25)(sample)
    np.testing.assert_allclose(sample["bbox_center"], [40, 50])
    np.testing.assert_allclose(sample["bbox_scale"], [50, 100])
    sample["bbox"] = np.array([[20, 10, 20, 90]], np.float32)
    with pytest.raises(DataError, match=r"a.jpg: The box .* has no area"):
        build("GetBBoxCenterScale")(sample)


def test_the_crop_is_the_releases(sample):
    for step in (build("GetBBoxCenterScale"), build("TopdownAffine", size_hw=(64, 48))):
        sample = step(sample)
    scale = fix_aspect((50, 100), (48, 64))
    np.testing.assert_allclose(sample["matrix"], udp_matrix((40, 50), scale, (48, 64)))
    assert sample["size_hw"] == (64, 48)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_flip_may_stand_anywhere_before_warp(sample, place):
    """Everywhere it gives the mirror image of the crop: UDP's crops are symmetric."""
    boxes = [build("GetBBoxCenterScale"), build("RandomBBoxTransform", shift_prob=0, rotate_prob=0)]
    steps = [*boxes, build("TopdownAffine", size_hw=(64, 48))]
    plain = dict(sample)
    for step in (*steps, build("Warp")):
        plain = step(plain)
    flipped = {**sample, "rng": np.random.default_rng(1)}
    # A sure flip draws a number too: draw it from a generator of its own.
    flip = build("RandomFlip", prob=1.0)
    for i, step in enumerate([*steps, build("Warp")]):
        if i == place:
            rng, flipped["rng"] = flipped["rng"], np.random.default_rng(0)
            flipped = flip(flipped)
            flipped["rng"] = rng
        flipped = step(flipped)
    difference = flipped["img"][:, ::-1].astype(int) - plain["img"]
    assert abs(difference).max() <= 1
    mirrored = plain["keypoints"] * (-1, 1) + (47, 0)
    order = list(COCO.keypoint_swap_indices)
    np.testing.assert_allclose(flipped["keypoints"], mirrored[:, order], atol=1e-3)


class TestHalfBody:
    @pytest.fixture
    def half(self):
        return build("RandomHalfBody", prob=1.0)

    def of(self, half, sample):
        return half(build("GetBBoxCenterScale")(sample))

    @pytest.mark.parametrize("is_upper", [True, False])
    def test_shows_the_half_that_there_is(self, half, sample, is_upper):
        ids = list(UPPER if is_upper else LOWER)
        other = list(LOWER if is_upper else UPPER)
        half.min_total = 5
        sample["keypoints_visible"][0, other[1:]] = 0
        sample = self.of(half, sample)
        points = sample["keypoints"][0, ids]
        np.testing.assert_allclose(sample["bbox_center"], points.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(sample["bbox_scale"], 1.5 * np.ptp(points, axis=0), rtol=1e-5)

    def test_prefers_the_upper(self, half, sample):
        boxed = build("GetBBoxCenterScale")(sample)
        upper = sample["keypoints"][0, list(UPPER)].mean(axis=0)
        draws = [np.allclose(half(dict(boxed))["bbox_center"], upper) for _ in range(400)]
        assert 0.62 < np.mean(draws) < 0.78

    @pytest.mark.parametrize("num_visible", [0, 8])
    def test_keeps_a_person_with_few_keypoints(self, half, sample, num_visible):
        sample["keypoints_visible"][0, num_visible:] = 0
        np.testing.assert_allclose(self.of(half, sample)["bbox_center"], [40, 50])

    @pytest.mark.parametrize("total", [9, 10])
    def test_the_least_number_of_keypoints_is_enough(self, half, sample, total):
        half.min_total = 10
        sample["keypoints_visible"][0, total:] = 0
        kept = np.allclose(self.of(half, sample)["bbox_center"], [40, 50])
        assert kept == (total < 10)

    @pytest.mark.parametrize(("name", "ids"), [("min_upper", UPPER), ("min_lower", LOWER)])
    @pytest.mark.parametrize("num", [3, 4])
    def test_the_least_number_of_a_half_is_enough(self, half, sample, name, ids, num):
        half.min_total, half.min_upper, half.min_lower = 0, 99, 99
        setattr(half, name, 4)
        sample["keypoints_visible"][:] = 0
        sample["keypoints_visible"][0, ids[:num]] = 1
        kept = np.allclose(self.of(half, sample)["bbox_center"], [40, 50])
        assert kept == (num < 4)

    @pytest.mark.parametrize(("upper_prob", "ids"), [(0.0, LOWER), (1.0, UPPER)])
    def test_which_half_and_how_much_around_it_is_the_configs(self, sample, upper_prob, ids):
        half = build("RandomHalfBody", prob=1.0, upper_prob=upper_prob, padding=2.0)
        for _ in range(8):
            found = self.of(half, dict(sample))
            np.testing.assert_allclose(
                found["bbox_scale"], 2 * np.ptp(sample["keypoints"][0, ids], axis=0), rtol=1e-5
            )

    def test_never_happens_at_probability_zero(self, half, sample):
        half.prob = 0.0
        for _ in range(8):
            np.testing.assert_array_equal(self.of(half, dict(sample))["bbox_center"], [40, 50])

    def test_keeps_the_box_where_the_half_is_a_point(self, half, sample):
        sample["keypoints"][:] = 30
        assert np.isfinite(self.of(half, sample)["bbox_scale"]).all()

    def test_needs_halves(self, half, sample):
        sample["metainfo"] = {**sample["metainfo"], "upper_body": ()}
        with pytest.raises(ConfigError, match="has no upper_body"):
            self.of(half, sample)


def test_random_boxes_are_within_their_limits(sample):
    boxed = build("GetBBoxCenterScale")(sample)
    step = build("RandomBBoxTransform")
    draws = [step(dict(boxed)) for _ in range(2000)]
    shifts = np.array([draw["bbox_center"] for draw in draws]) - [40, 50]
    factors = np.array([draw["bbox_scale"] for draw in draws]) / [50, 100]
    angles = np.array([draw["bbox_rotation"] for draw in draws])
    assert (abs(shifts) <= [8, 16]).all() and abs(shifts).max() > 10
    assert 0.25 < (shifts != 0).all(axis=1).mean() < 0.35
    np.testing.assert_allclose(factors[:, 0], factors[:, 1])
    assert 0.5 <= factors.min() < 0.6 and 1.4 < factors.max() <= 1.5
    assert 0.55 < (angles != 0).mean() < 0.65 and 60 < abs(angles).max() <= 80


@pytest.mark.parametrize("name", ["shift", "scale", "rotate"])
def test_each_effect_has_a_probability_of_its_own(sample, name):
    boxed = build("GetBBoxCenterScale")(sample)
    key = {"shift": "bbox_center", "scale": "bbox_scale", "rotate": "bbox_rotation"}[name]
    none = dict(shift_prob=0.0, scale_prob=0.0, rotate_prob=0.0)
    keys = ("bbox_center", "bbox_scale", "bbox_rotation")
    drawn = build("RandomBBoxTransform", **{**none, f"{name}_prob": 1.0})(dict(boxed))
    changed = [k for k in keys if not np.array_equal(drawn[k], boxed[k])]
    assert changed == [key]


def test_factors_of_random_boxes_are_the_configs(sample):
    boxed = build("GetBBoxCenterScale")(sample)
    step = build(
        "RandomBBoxTransform",
        shift_factor=0.5, shift_prob=1, scale_factor=(2.0, 4.0), rotate_factor=10, rotate_prob=1,
    )  # fmt: skip
    draws = [step(dict(boxed)) for _ in range(300)]
    shifts = abs(np.array([draw["bbox_center"] for draw in draws]) - [40, 50]) / [50, 100]
    factors = np.array([draw["bbox_scale"][0] for draw in draws]) / 50
    angles = abs(np.array([draw["bbox_rotation"] for draw in draws]))
    assert 0.45 < shifts.max() <= 0.5 and 9 < angles.max() <= 10
    assert 2 <= factors.min() < 2.2 and 3.8 < factors.max() <= 4


@pytest.mark.parametrize(("margin", "accepted"), [(0, False), (6, True)])
def test_keypoints_near_the_crop_count(sample, margin, accepted):
    sample["keypoints"][0, :8] = -5
    step = build("RequireKeypoints", num_keypoints=10, margin=margin)
    assert (step(sample) is not None) == accepted


@pytest.mark.parametrize(("num", "accepted"), [(9, True), (10, False)])
@pytest.mark.parametrize("x", [-2.0, 121.0])
def test_the_number_and_the_margin_themselves_count(sample, num, accepted, x):
    """Eight are exactly on the margin of 2 pixels, eight beyond it; one is inside."""
    sample["keypoints"][0, :16, 0] = x
    sample["keypoints"][0, :8, 0] += np.sign(x) * 1e-3
    step = build("RequireKeypoints", num_keypoints=num, margin=2)
    assert (step(sample) is not None) == accepted


def test_people_whose_every_keypoint_is_invisible(sample):
    sample["keypoints_visible"][:] = 0
    boxed = build("GetBBoxCenterScale")(sample)
    kept = build("RandomHalfBody", prob=1.0, min_total=0)(dict(boxed))
    np.testing.assert_array_equal(kept["bbox_scale"], boxed["bbox_scale"])
    assert build("RequireKeypoints", num_keypoints=1)(boxed) is None


@pytest.mark.parametrize("kind", ["box", "gaussian", "median"])
def test_blur(sample, kind):
    before = sample["img"].copy()
    blurred = build("RandomBlur", kind=kind, prob=1.0)(sample)["img"]
    assert blurred.std() < 0.6 * before.std() and blurred.shape == before.shape
    assert build("RandomBlur", kind=kind, prob=0.0)({**sample, "img": before})["img"] is before
    with pytest.raises(ConfigError, match="kind is one of"):
        build("RandomBlur", kind="motion")


def test_sides_of_blurs_are_the_odd_ones_of_the_range(sample):
    def blurred(side_range):
        before = sample["img"].copy()
        return build("RandomBlur", prob=1.0, side_range=side_range)({**sample, "img": before})[
            "img"
        ]

    for side_range in ((5, 5), (4, 6), (5, 6)):
        np.testing.assert_array_equal(blurred(side_range), cv2.blur(sample["img"], (5, 5)))
    np.testing.assert_array_equal(blurred((1, 1)), sample["img"])
    drawn = {blurred((3, 5)).tobytes() for _ in range(12)}
    assert drawn == {cv2.blur(sample["img"], (n, n)).tobytes() for n in (3, 5)}
    for side_range in ((4, 4), (5, 3), (-1, 3)):
        with pytest.raises(ConfigError, match="no odd side in side_range"):
            blurred(side_range)


def test_dropout_never_happens_at_probability_zero(sample):
    assert build("CoarseDropout", prob=0.0)(sample)["img"].all(axis=-1).mean() > 0.98


def test_dropout_may_be_of_the_whole_image(sample):
    assert not build("CoarseDropout", size_range=(1, 1))(sample)["img"].any()


def test_dropout_makes_one_hole(sample):
    sample["img"][:] = 200
    before = sample["img"]
    for _ in range(20):
        hole = (build("CoarseDropout")({**sample, "img": before})["img"] == 0).all(axis=-1)
        num, _, (_, (_, _, width, height, area)), _ = cv2.connectedComponentsWithStats(
            hole.astype(np.uint8)
        )
        assert num == 2 and area == width * height
        assert 20 <= height <= 40 and 24 <= width <= 48
    assert (before == 200).all()


def test_arguments_are_checked():
    with pytest.raises(ConfigError, match="input_size_hw"):
        build("TopdownAffine")
    with pytest.raises(ConfigError, match="scale_factor"):
        build("RandomBBoxTransform", scale_factor=(0, 1))
    with pytest.raises(ConfigError, match="size_range"):
        build("CoarseDropout", size_range=(0.2, 1.4))
