"""Random brightness, contrast, saturation and hue."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from engine.data.sample import Sample

HUES = 180
"""OpenCV's 8-bit hue counts in steps of two degrees."""

Table = NDArray[np.uint8]
"""The new value of each of 256."""

IDENTITY: Table = np.arange(256, dtype=np.uint8)


@TRANSFORMS.register_module()
@dataclass(kw_only=True, eq=False)
class PhotoMetricDistortion(BaseTransform):
    """Distorts ``img`` (H, W, 3) uint8 BGR in up to four steps, each with probability 1/2.

    A fifth, off by default, exchanges the channels.

    After Liu et al., SSD (2016), and Howard (2013): brightness; then, by a coin, contrast before
    or after saturation and hue. Steps that follow each other are joined into one lookup table, and
    saturation and hue share one conversion to HSV.

    Args:
        brightness_delta: Largest value added or subtracted, of 255.
        contrast_range: Lowest and highest factor of all values.
        saturation_range: Lowest and highest factor of the saturation.
        hue_delta: Hue shifts are drawn from [-hue_delta, hue_delta), in steps of two degrees.
        channel_shuffle_prob: Probability that the channels are put into a random order.
    """

    brightness_delta: float = 32
    contrast_range: tuple[float, float] = (0.5, 1.5)
    saturation_range: tuple[float, float] = (0.5, 1.5)
    hue_delta: int = 18
    channel_shuffle_prob: float = 0.0

    def transform(self, sample: Sample) -> Sample:
        """Draws the steps and applies them."""
        rng = sample["rng"]
        before = after = saturation = hue = IDENTITY
        if rng.random() < 0.5:
            delta = rng.uniform(-self.brightness_delta, self.brightness_delta)
            before = _to_uint8(IDENTITY + delta)
        contrast_first = rng.random() < 0.5
        if rng.random() < 0.5:
            factor = rng.uniform(*self.contrast_range)
            if contrast_first:
                before = _to_uint8(before * factor)
            else:
                after = _to_uint8(IDENTITY * factor)
        if rng.random() < 0.5:
            saturation = _to_uint8(IDENTITY * rng.uniform(*self.saturation_range))
        if rng.random() < 0.5:
            shift = int(rng.integers(-self.hue_delta, max(self.hue_delta, 1)))
            hue = ((IDENTITY.astype(int) + shift) % HUES).astype(np.uint8)
        recolours = hue is not IDENTITY or saturation is not IDENTITY
        image = _look_up(sample["img"], before if recolours else after[before])
        if recolours:
            hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
            for channel, table in enumerate((hue, saturation)):
                cv2.insertChannel(_look_up(cv2.extractChannel(hsv, channel), table), hsv, channel)
            image = _look_up(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), after)
        if self.channel_shuffle_prob and rng.random() < self.channel_shuffle_prob:
            image = np.ascontiguousarray(image[..., rng.permutation(3)])
        sample["img"] = image
        return sample


def _to_uint8(values: NDArray) -> Table:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _look_up(image: NDArray, table: Table) -> NDArray:
    is_identity = np.array_equal(table, IDENTITY)
    return image if is_identity else cv2.LUT(image, table)
