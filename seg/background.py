"""Putting the people of an image in front of another background."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from engine.data.arguments import require_probability
from engine.data.decoding import EncodedJpeg
from engine.data.files import IMAGE_SUFFIXES, find_files
from engine.data.loading import IGNORE_INDEX, read_image
from engine.data.sample import Sample
from engine.errors import ConfigError, DataError

CONTRAST_RANGE = (0.5, 2.0)
"""How much colour matching may change a deviation: before a plain wall it must not fade people."""


@TRANSFORMS.register_module()
class RandomBackground(BaseTransform):
    """Replaces what ``img`` shows behind people, and matches their colours to it.

    Foreground is where ``mask`` is not 0; without a mask, where ``seg_map`` is neither 0 nor
    ignored. The background covers the image: scaled to its height and cut at both sides, or
    stretched to its width if too narrow. No other field changes. Stands after what loads those
    fields, best before the geometry. An image without foreground, or with nothing else, stays as
    it is.

    Args:
        root: Folder of the backgrounds, with its sub-folders; photographs without people.
        prob: Probability in [0, 1].

    Raises:
        ConfigError: If ``prob`` is no probability, or a sample has neither mask nor labels.
        DataError: If the folder is missing or holds no image.
    """

    def __init__(self, *, root: str, prob: float = 0.5) -> None:
        self.prob = require_probability(self, prob)
        self.paths = _list_backgrounds(Path(root))

    def transform(self, sample: Sample) -> Sample:
        """Draws whether to replace the background, and by which."""
        rng = sample["rng"]
        if rng.random() >= self.prob:
            return sample
        path = self.paths[rng.integers(len(self.paths))]
        foreground = _foreground(sample)
        if foreground.all() or not foreground.any():
            return sample
        image = sample["img"]
        if isinstance(image, EncodedJpeg):
            image = image.decode()
        picture = cover(read_image(path), image.shape[:2])
        matched = match_colours(image, foreground, picture, ~foreground)
        sample["img"] = cv2.copyTo(matched, foreground.view(np.uint8), picture)
        return sample


def _list_backgrounds(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(
            f"RandomBackground: there is no folder {str(root)!r}. Set root to a folder of "
            "photographs without people, or remove the transform from the pipeline."
        )
    paths = [root / name for name in find_files(root, IMAGE_SUFFIXES)]
    if not paths:
        raise DataError(
            f"RandomBackground: {str(root)!r} holds no images ({', '.join(IMAGE_SUFFIXES)})."
        )
    return paths


def _foreground(sample: Sample) -> NDArray[np.bool_]:
    if "mask" in sample:
        return sample["mask"] > 0
    if "seg_map" in sample:
        ignored = sample.get("metainfo", {}).get("ignore_index", IGNORE_INDEX)
        return (sample["seg_map"] > 0) & (sample["seg_map"] != ignored)
    raise ConfigError(
        "RandomBackground tells people by mask or seg_map, and the sample has neither yet: put "
        'what loads it, such as dict(type="LoadLabels"), before.'
    )


def cover(image: NDArray, size_hw: tuple[int, int]) -> NDArray:
    """Scales an image to the height and cuts its middle; a narrow one is stretched to the width."""
    height, width = image.shape[:2]
    kept = min(width, max(round(size_hw[1] * height / size_hw[0]), 1))
    left = (width - kept) // 2
    aliases = height >= 2 * size_hw[0]
    return cv2.resize(
        image[:, left : left + kept],
        (size_hw[1], size_hw[0]),
        interpolation=cv2.INTER_AREA if aliases else cv2.INTER_LINEAR,
    )


def match_colours(
    image: NDArray, region: NDArray, reference: NDArray, reference_region: NDArray
) -> NDArray:
    """Gives a region of an image the colour statistics of a region of another.

    Reinhard et al., Color transfer between images, 2001, eq. 10 and 11, in CIE Lab of 8 bits:
    x' = (x - mean) * std_reference / std + mean_reference in each channel, with the quotient
    kept within ``CONTRAST_RANGE``.

    Args:
        image: (H, W, 3) uint8 BGR.
        region: (H, W) bool, not empty.
        reference: (H', W', 3) uint8 BGR.
        reference_region: (H', W') bool, not empty.

    Returns:
        (H, W, 3) uint8 BGR; outside the region likewise transformed.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    mean, std = _statistics(lab, region)
    target_mean, target_std = _statistics(
        cv2.cvtColor(reference, cv2.COLOR_BGR2LAB), reference_region
    )
    gain = np.clip(target_std / np.maximum(std, 1e-3), *CONTRAST_RANGE)
    values = (np.arange(256)[:, None] - mean) * gain + target_mean
    table = np.rint(values).clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.LUT(lab, table[:, None]), cv2.COLOR_LAB2BGR)


def _statistics(lab: NDArray, region: NDArray) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation (3,) of the channels of a region."""
    mean, std = cv2.meanStdDev(lab, mask=region.view(np.uint8))
    return mean[:, 0], std[:, 0]
