"""Geometric transforms. They are lazy: each composes ``matrix`` and ``size_hw``, moving no pixel.

MMCV's ``Resize``, ``RandomResize`` and ``RandomFlip`` in the same registry move pixels at once and
know nothing of ``matrix``. Ours replace them there: a config's ``RandomResize`` is the lazy one in
every scope.

``size_hw`` arguments may be left out of a config: ``load_config`` fills them in from its
``input_size_hw``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.arguments import require_probability, require_range, require_size
from engine.data.sample import Sample
from engine.data.warp import sample_nearest
from engine.errors import ConfigError, DataError

CROP_REDRAWS = 10
PREVIEW_HW = (64, 48)


def _append(sample: Sample, matrix: geometry.Matrix, size_hw: geometry.SizeHW) -> Sample:
    """Composes a map onto the sample's, ending on a canvas of ``size_hw``."""
    sample["matrix"] = geometry.compose(sample["matrix"], matrix)
    sample["size_hw"] = size_hw
    return sample


def _append_resize(sample: Sample, size_hw: geometry.SizeHW) -> Sample:
    return _append(sample, geometry.resize(sample["size_hw"], size_hw), size_hw)


@TRANSFORMS.register_module(force=True)
class Resize(BaseTransform):
    """Stretches the canvas to ``size_hw``.

    Args:
        size_hw: (height, width) in pixels.
        keep_ratio: Keep the aspect ratio: the canvas becomes as large as ``geometry.fit_size_hw``
            lets it.
    """

    def __init__(self, *, size_hw: Sequence[int] | None = None, keep_ratio: bool = False) -> None:
        self.size_hw = require_size(self, size_hw)
        self.keep_ratio = keep_ratio

    def transform(self, sample: Sample) -> Sample:
        """Composes the stretch."""
        fitted_hw = geometry.fit_size_hw(sample["size_hw"], self.size_hw)
        return _append_resize(sample, fitted_hw if self.keep_ratio else self.size_hw)


@TRANSFORMS.register_module(force=True)
class RandomResize(BaseTransform):
    """Fits the canvas, aspect kept, into ``size_hw`` times a factor drawn from ``ratio_range``.

    Args:
        ratio_range: Lowest and highest factor, drawn uniformly.
        size_hw: (height, width) in pixels at factor 1; see ``geometry.fit_size_hw``.
    """

    def __init__(
        self, *, ratio_range: tuple[float, float], size_hw: Sequence[int] | None = None
    ) -> None:
        self.size_hw = require_size(self, size_hw)
        self.ratio_range = require_range(self, "ratio_range", ratio_range)

    def transform(self, sample: Sample) -> Sample:
        """Draws the factor and composes the resize."""
        ratio = sample["rng"].uniform(*self.ratio_range)
        into_hw = int(self.size_hw[0] * ratio), int(self.size_hw[1] * ratio)
        return _append_resize(sample, geometry.fit_size_hw(sample["size_hw"], into_hw))


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """Cuts ``size_hw`` out of the canvas at a random place; a smaller canvas stays as it is.

    With ``cat_max_ratio`` below 1 a crop is re-drawn, at most 10 times, until it holds more than
    one label and none fills ``cat_max_ratio`` of it (ignored pixels not counted); the last draw is
    kept in any case. Labels are counted on a preview of 64x48 samples, so shares are known to
    about a percent.

    Args:
        size_hw: (height, width) in pixels.
        cat_max_ratio: Largest share of one label, in (0, 1]; 1 accepts every crop.
        ignore_index: Label that does not count.
    """

    def __init__(
        self,
        *,
        size_hw: Sequence[int] | None = None,
        cat_max_ratio: float = 1.0,
        ignore_index: int = 255,
    ) -> None:
        self.size_hw = require_size(self, size_hw)
        if not 0 < cat_max_ratio <= 1:
            raise ConfigError(f"RandomCrop: cat_max_ratio is in (0, 1], found {cat_max_ratio!r}.")
        self.cat_max_ratio = cat_max_ratio
        self.ignore_index = ignore_index

    def transform(self, sample: Sample) -> Sample:
        """Draws the place and composes the crop."""
        height, width = sample["size_hw"]
        crop_hw = min(self.size_hw[0], height), min(self.size_hw[1], width)
        matrix = self._draw(sample, crop_hw)
        can_differ = crop_hw != (height, width)
        if self.cat_max_ratio < 1 and can_differ:
            for _ in range(CROP_REDRAWS):
                if self._is_varied(self._preview(sample, matrix, crop_hw)):
                    break
                matrix = self._draw(sample, crop_hw)
        return _append(sample, matrix, crop_hw)

    def _draw(self, sample: Sample, crop_hw: geometry.SizeHW) -> geometry.Matrix:
        height, width = sample["size_hw"]
        top = sample["rng"].integers(height - crop_hw[0] + 1)
        left = sample["rng"].integers(width - crop_hw[1] + 1)
        return geometry.crop(left, top)

    def _preview(
        self, sample: Sample, matrix: geometry.Matrix, crop_hw: geometry.SizeHW
    ) -> NDArray[np.uint8]:
        """The labels at a coarse grid of the crop."""
        if "seg_map" not in sample:
            raise ConfigError(
                "RandomCrop(cat_max_ratio=...) looks at labels, but the sample has no seg_map: "
                "put LoadLabels before it, or leave cat_max_ratio out."
            )
        # The preview is the crop resized: each of its pixels samples the centre of its cell.
        matrix = geometry.compose(sample["matrix"], matrix)
        matrix = geometry.compose(matrix, geometry.resize(crop_hw, PREVIEW_HW))
        return sample_nearest(sample["seg_map"], matrix, PREVIEW_HW, self.ignore_index)

    def _is_varied(self, labels: NDArray[np.uint8]) -> bool:
        counts = np.bincount(labels.ravel(), minlength=256)
        counts[self.ignore_index] = 0
        # A single label fills all of it, so this also asks for more than one.
        return bool(counts.max() < self.cat_max_ratio * counts.sum())


@TRANSFORMS.register_module()
class RandomResizedCrop(BaseTransform):
    """Stretches a random part of the canvas to ``size_hw`` (Szegedy et al., 2015).

    If 10 draws do not fit the canvas, the largest central part of an allowed aspect is taken.

    Args:
        size_hw: (height, width) in pixels.
        crop_ratio_range: Lowest and highest share of the canvas' area, drawn uniformly.
        aspect_ratio_range: Lowest and highest width / height of the part; its logarithm is drawn
            uniformly.
        min_size: Shortest edge in pixels that a canvas must have: less makes a blurred picture.

    Raises:
        DataError: If an edge of the canvas is shorter than ``min_size``.
    """

    def __init__(
        self,
        *,
        size_hw: Sequence[int] | None = None,
        crop_ratio_range: tuple[float, float] = (0.2, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        min_size: int = 1,
    ) -> None:
        self.size_hw = require_size(self, size_hw)
        self.crop_ratio_range = require_range(self, "crop_ratio_range", crop_ratio_range, most=1)
        self.aspect_ratio_range = require_range(self, "aspect_ratio_range", aspect_ratio_range)
        self.min_size = min_size

    def transform(self, sample: Sample) -> Sample:
        """Draws the part and composes crop and stretch."""
        height, width = sample["size_hw"]
        if min(height, width) < self.min_size:
            raise DataError(
                f"{sample.get('img_path')} is {height}x{width} pixels (height x width), shorter "
                f"than RandomResizedCrop's min_size={self.min_size}. Remove it, or lower min_size."
            )
        box = self._draw(sample["rng"], (height, width))
        if box[2] >= 2 * self.size_hw[0] and box[3] >= 2 * self.size_hw[1]:
            # Whole pixels also of a JPEG that is decoded at 1/2, 1/4 or 1/8 of its resolution.
            box = tuple(length // 8 * 8 for length in box)
        top, left, crop_h, crop_w = box
        sample = _append(sample, geometry.crop(left, top), (crop_h, crop_w))
        return _append_resize(sample, self.size_hw)

    def _draw(self, rng: np.random.Generator, size_hw: geometry.SizeHW) -> tuple[int, ...]:
        """Returns top, left, height and width of the part."""
        height, width = size_hw
        low, high = self.aspect_ratio_range
        for _ in range(CROP_REDRAWS):
            area = height * width * rng.uniform(*self.crop_ratio_range)
            aspect = np.exp(rng.uniform(np.log(low), np.log(high)))
            crop_h, crop_w = round(np.sqrt(area / aspect)), round(np.sqrt(area * aspect))
            if 0 < crop_h <= height and 0 < crop_w <= width:
                top = int(rng.integers(height - crop_h + 1))
                left = int(rng.integers(width - crop_w + 1))
                return top, left, crop_h, crop_w
        crop_h = max(min(height, round(width / low)), 1)
        crop_w = max(min(width, round(height * high)), 1)
        return (height - crop_h) // 2, (width - crop_w) // 2, crop_h, crop_w


@TRANSFORMS.register_module()
class RandomRotate(BaseTransform):
    """Turns the canvas about its centre, at unchanged size.

    Args:
        prob: Probability to turn at all.
        degree: Angles are drawn uniformly from (-degree, degree), or from a (low, high) pair.
            Positive is clockwise.
    """

    def __init__(self, *, prob: float, degree: float | tuple[float, float]) -> None:
        self.prob = require_probability(self, prob)
        low, high = (-degree, degree) if isinstance(degree, int | float) else degree
        if low > high:
            raise ConfigError(f"RandomRotate: degree is positive or (low, high), found {degree!r}.")
        self.degree = (low, high)

    def transform(self, sample: Sample) -> Sample:
        """Draws whether and how far to turn, and composes the rotation."""
        rng, size_hw = sample["rng"], sample["size_hw"]
        if rng.random() < self.prob:
            sample = _append(sample, geometry.rotate(rng.uniform(*self.degree), size_hw), size_hw)
        return sample


@TRANSFORMS.register_module(force=True)
class RandomFlip(BaseTransform):
    """Mirrors left and right. ``Warp`` then also swaps what has a left and a right name.

    Args:
        prob: Probability to mirror.
        swap_seg_labels: Pairs of class indices to swap, instead of the dataset's
            (from the ``flip_pairs`` of its metainfo).
    """

    def __init__(
        self, *, prob: float, swap_seg_labels: Sequence[tuple[int, int]] | None = None
    ) -> None:
        self.prob = require_probability(self, prob)
        self.swap_seg_labels = swap_seg_labels

    def transform(self, sample: Sample) -> Sample:
        """Draws whether to mirror, and composes the flip."""
        if self.swap_seg_labels is not None:
            sample["swap_seg_labels"] = self.swap_seg_labels
        if sample["rng"].random() < self.prob:
            sample = _append(sample, geometry.flip(sample["size_hw"]), sample["size_hw"])
            sample["flip"] = not sample.get("flip", False)
        return sample
