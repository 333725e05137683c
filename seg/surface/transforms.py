"""What loads masks, depth and normals, and what makes of them what a model learns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from engine.data.sample import Sample
from engine.errors import ConfigError, DataError
from seg.surface.reading import (
    DEPTH_ARRAYS,
    OUR_AXES,
    axis_signs,
    read_depth,
    read_mask,
    read_normal,
)

DEPTH_BACKGROUND = -1.0
NORMAL_BACKGROUND = -1000.0

_ROUNDING = 1e-6  # relative differences of float32 depths that only rounding explains


def _read(
    sample: Sample, key: str, what: str, read: Callable[[str], NDArray]
) -> tuple[str, NDArray]:
    """The path under ``key``, and what is read from there: an array of the image's size.

    The steps that load it also need the image's size and its mask.
    """
    path = sample.get(key)
    if path is None:
        raise DataError(f"{sample.get('img_path')} has no {what} (no {key}).")
    needed = "ori_size_hw" if what == "mask" else "mask"
    if needed not in sample:
        first = "LoadImage" if what == "mask" else "LoadMask"
        raise ConfigError(f"loading the {what} needs {needed}: put {first} before it.")
    values = read(path)
    height, width = sample["ori_size_hw"]
    if values.shape[:2] != (height, width):
        raise DataError(
            f"{path} is {values.shape[0]}x{values.shape[1]}, but its image "
            f"{sample.get('img_path')} is {height}x{width} (height x width, after EXIF rotation). "
            "Make them the same size."
        )
    return path, values


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Reads ``mask_path`` into ``mask`` (H, W) uint8, 1 on the person and 0 elsewhere.

    Raises:
        DataError: If the file cannot be read, its size is not the image's, or it is empty: there
            is nothing to learn from then. The dataset's ``on_corrupt="skip"`` passes over it.
    """

    def transform(self, sample: Sample) -> Sample:
        """Adds mask."""
        path, mask = _read(sample, "mask_path", "mask", read_mask)
        if not mask.any():
            raise DataError(f"{path} is empty: no pixel is foreground. Remove the sample.")
        sample["mask"] = mask
        return sample


@TRANSFORMS.register_module()
class LoadDepth(BaseTransform):
    """Reads ``depth_path`` into ``depth`` (H, W) float32, larger is farther.

    Values are multiplied by the record's ``depth_scale``. What an image of integers holds as 0, not
    measured, is taken out of ``mask``.

    Raises:
        DataError: If the file cannot be read, its size is not the image's, or depth inside the
            mask is not finite or everywhere the same: there is no shape to learn then, and any
            prediction would be right.
    """

    def transform(self, sample: Sample) -> Sample:
        """Adds depth."""
        read = partial(read_depth, scale=sample.get("depth_scale", 1.0))
        path, depth = _read(sample, "depth_path", "depth", read)
        finite = np.isfinite(depth)
        if Path(path).suffix.lower() not in DEPTH_ARRAYS:
            sample["mask"] = sample["mask"] & finite
            if not sample["mask"].any():
                raise DataError(f"{path}: depth is 0, not measured, in the whole mask.")
        bad = sample["mask"].astype(bool) & ~finite
        if bad.any():
            raise DataError(
                f"{path}: {bad.sum()} of {sample['mask'].sum()} pixels inside the mask are NaN or "
                f"infinite, the first at {_first(bad)}. Mend the file, or take them out of the "
                f"mask {sample.get('mask_path')}."
            )
        inside = depth[sample["mask"] > 0]
        if _is_flat(inside):
            raise DataError(
                f"{path}: depth is {inside[0]:g} at all {inside.size} pixels of the mask, which "
                "says nothing of a shape. Mend the file, or remove the sample."
            )
        sample["depth"] = depth
        return sample


def _is_flat(depth: NDArray) -> bool:
    """Whether values (N,), N at least 1, differ by no more than rounding."""
    near, far = depth.min(), depth.max()
    return bool(far - near <= _ROUNDING * max(abs(near), abs(far)))


@TRANSFORMS.register_module()
class LoadNormal(BaseTransform):
    """Reads ``normal_path`` into ``normal`` (H, W, 3) float32: x right, y up, z towards the camera.

    What is in the file has the record's ``normal_axes``, by default ours. Inside the mask, lengths
    within the tolerance become 1.

    Args:
        tolerance: Largest deviation of a length from 1 inside the mask.

    Raises:
        DataError: If the file cannot be read, its size is not the image's, or a normal inside the
            mask is not finite or of another length.
    """

    def __init__(self, *, tolerance: float = 0.1) -> None:
        self.tolerance = tolerance

    def transform(self, sample: Sample) -> Sample:
        """Adds normal."""
        read = partial(read_normal, signs=axis_signs(sample.get("normal_axes", OUR_AXES)))
        path, normal = _read(sample, "normal_path", "normals", read)
        inside = sample["mask"].astype(bool)
        length = np.sqrt(np.einsum("hwc,hwc->hw", normal, normal))
        bad = inside & ~(abs(length - 1) <= self.tolerance)  # also where it is NaN
        if bad.any():
            raise DataError(
                f"{path}: {bad.sum()} of {inside.sum()} normals inside the mask are not of length "
                f"1 (within {self.tolerance}), the first at {_first(bad)} with length "
                f"{length[bad][0]:g}. Normalise the file, or take the pixels out of the mask "
                f"{sample.get('mask_path')}; LoadNormal(tolerance=...) allows more."
            )
        sample["normal"] = normal / np.where(inside, length, 1)[..., None]
        return sample


def _first(bad: NDArray[np.bool_]) -> str:
    y, x = np.argwhere(bad)[0]
    return f"x={x}, y={y}"


@TRANSFORMS.register_module()
class GenerateDepthTarget(BaseTransform):
    """Turns ``depth`` into relative depth: 0 at the nearest pixel of the mask, 1 at the farthest.

    Outside the mask it is -1, which the loss ignores. The mask is that of the warped sample, so a
    crop is relative to itself. Where depth is the same everywhere, or the crop shows nothing of the
    mask, all of it is -1: one distance says nothing of a shape.
    """

    def transform(self, sample: Sample) -> Sample:
        """Replaces depth (H, W)."""
        inside = sample["mask"] > 0
        depth = sample["depth"]
        target = np.full_like(depth, DEPTH_BACKGROUND)
        values = depth[inside]
        if values.size and not _is_flat(values):
            near, far = values.min(), values.max()
            target[inside] = (values - near) / (far - near)
        sample["depth"] = target
        return sample


@TRANSFORMS.register_module()
class GenerateNormalTarget(BaseTransform):
    """Sets ``normal`` to -1000 in all three channels outside the mask; losses ignore it."""

    def transform(self, sample: Sample) -> Sample:
        """Replaces normal (H, W, 3)."""
        inside = sample["mask"][..., None] > 0
        sample["normal"] = np.where(inside, sample["normal"], np.float32(NORMAL_BACKGROUND))
        return sample
