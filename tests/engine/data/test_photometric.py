import cv2
import numpy as np
import pytest

from engine.data import PhotoMetricDistortion


def clipped(values):
    return np.rint(values).clip(0, 255).astype(np.uint8)


def in_hsv(image, change):
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    change(hsv)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def distort_plainly(image, rng):
    """The recipe step by step, each on all pixels; returns the steps taken too."""
    steps = []
    contrast = None
    if rng.random() < 0.5:
        image = clipped(image + rng.uniform(-32, 32))
        steps.append("brightness")
    contrast_first = rng.random() < 0.5
    if rng.random() < 0.5:
        contrast = rng.uniform(0.5, 1.5)
        steps.append("contrast first" if contrast_first else "contrast last")
    if contrast is not None and contrast_first:
        image = clipped(image * contrast)
    if rng.random() < 0.5:
        factor = rng.uniform(0.5, 1.5)
        steps.append("saturation")

        def saturate(hsv):
            hsv[..., 1] = clipped(hsv[..., 1] * factor)

        image = in_hsv(image, saturate)
    if rng.random() < 0.5:
        shift = int(rng.integers(-18, 18))
        steps.append("hue")

        def turn(hsv):
            hsv[..., 0] = (hsv[..., 0].astype(int) + shift) % 180

        image = in_hsv(image, turn)
    if contrast is not None and not contrast_first:
        image = clipped(image * contrast)
    return image, tuple(steps)


@pytest.fixture(scope="module")
def portrait():
    """A smooth image of many colours."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    return cv2.resize(noise, (50, 60), interpolation=cv2.INTER_CUBIC)


def test_equals_the_plain_recipe(portrait):
    distort = PhotoMetricDistortion()
    seen = set()
    for seed in range(200):
        plain, steps = distort_plainly(portrait, np.random.default_rng(seed))
        fast = distort({"img": portrait.copy(), "rng": np.random.default_rng(seed)})["img"]
        seen.add(steps)
        difference = np.abs(fast.astype(int) - plain)
        if {"saturation", "hue"} <= set(steps):
            # The plain recipe rounds to 8-bit BGR between the two.
            assert np.median(difference) <= 2
        else:
            assert difference.max() == 0, steps
    assert len(seen) == 2 * 3 * 2 * 2


def test_nothing_drawn_changes_nothing(portrait):
    seed = next(
        s for s in range(1000) if not distort_plainly(portrait, np.random.default_rng(s))[1]
    )
    sample = {"img": portrait, "rng": np.random.default_rng(seed)}
    assert PhotoMetricDistortion()(sample)["img"] is portrait


def test_parameters_at_rest_change_colours_by_rounding_only(portrait):
    still = PhotoMetricDistortion(
        brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1), hue_delta=0
    )
    grey = np.full((4, 4, 3), 90, np.uint8)
    for seed in range(20):
        sample = still({"img": grey, "rng": np.random.default_rng(seed)})
        np.testing.assert_array_equal(sample["img"], grey)


def test_channels_are_exchanged_if_asked_for(portrait):
    still = {"brightness_delta": 0, "contrast_range": (1, 1), "saturation_range": (1, 1)}
    shuffle = PhotoMetricDistortion(**still, hue_delta=0, channel_shuffle_prob=1.0)
    orders = set()
    for seed in range(30):
        image = shuffle({"img": portrait.copy(), "rng": np.random.default_rng(seed)})["img"]
        means = portrait.mean(axis=(0, 1))
        orders.add(tuple(np.abs(means - mean).argmin() for mean in image.mean(axis=(0, 1))))
    assert len(orders) == 6
