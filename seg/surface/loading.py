"""Reading masks, depth and surface normals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from engine.data.decoding import read_bytes
from engine.data.registry import register_transform
from engine.data.sample import Sample
from engine.errors import ConfigError, DataError
from seg.surface.exr import read_exr_depth

NormalAxes = Literal[
    "x right, y up, z towards",
    "x right, y down, z away",
    "x right, y up, z away",
    "x right, y down, z towards",
]
"""Camera axes of normals in files; towards and away mean the camera. See docs/normals.md."""
OUR_AXES: NormalAxes = "x right, y up, z towards"
"""Those inside this project: in samples, targets, predictions and written files."""


def read_mask(path: str | Path) -> NDArray[np.uint8]:
    """Reads a mask (H, W) of zeros and ones from an image or a .npy file; not zero is foreground.

    A pixel of a colour image is foreground if any of its colours is not zero; alpha is not read.

    Raises:
        DataError: If the file cannot be read, or is an array that is neither bool nor integer.
    """
    if Path(path).suffix.lower() != ".npy":
        image = _read_image_unchanged(path)
        is_set = image != 0 if image.ndim == 2 else image[..., :3].any(axis=2)
        return np.asarray(is_set, np.uint8)
    mask = _read_npy(path)
    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise DataError(
            f"{path} is {mask.dtype} {mask.shape}; a mask is (H, W), bool or integers with 0 for "
            "the background. Is it depth rather than a mask?"
        )
    return (mask != 0).astype(np.uint8)


def read_depth(path: str | Path, scale: float = 1.0) -> NDArray[np.float32]:
    """Reads depth (H, W) from .npy (any floats or integers), .exr, or a grey image.

    Args:
        path: The file.
        scale: Factor of all values, such as 0.001 for images in millimetres.

    Returns:
        float32; NaN where an image of integers holds 0, which stands for "not measured" there.

    Raises:
        DataError: If the file cannot be read or is not of one channel.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        depth = _read_npy(path)
    elif suffix == ".exr":
        depth = read_exr_depth(path)
    else:
        image = _read_image_unchanged(path)
        depth = image.astype(np.float32)
        if image.dtype.kind in "ui":
            depth[image == 0] = np.nan
    if depth.ndim != 2 or depth.dtype.kind not in "fui":
        raise DataError(f"{path} is {depth.dtype} {depth.shape}; depth is (H, W), one number each.")
    depth = depth.astype(np.float32, copy=False)
    return depth if scale == 1 else depth * np.float32(scale)


def read_normal(path: str | Path, signs: Sequence[float]) -> NDArray[np.float32]:
    """Reads normals (H, W, 3) from a .npy file of floats, and turns them to our axes.

    Args:
        path: The file.
        signs: Factors (3,) of X, Y, Z: those of :func:`axis_signs`.

    Raises:
        DataError: If the file cannot be read, or is of another shape or kind.
    """
    normal = _read_npy(path)
    if normal.ndim != 3 or normal.shape[2] != 3 or normal.dtype.kind != "f":
        raise DataError(
            f"{path} is {normal.dtype} {normal.shape}; normals are (H, W, 3), floats X, Y, Z in "
            "[-1, 1]."
        )
    return normal.astype(np.float32) * np.asarray(signs, np.float32)


def axis_signs(axes: NormalAxes) -> tuple[int, int, int]:
    """Factors of X, Y, Z that turn normals of these axes to ours, and back.

    Raises:
        ConfigError: If there are no such axes.
    """
    if axes not in get_args(NormalAxes):
        known = ", ".join(map(repr, get_args(NormalAxes)))
        raise ConfigError(f"axes={axes!r}: expected one of {known}.")
    return 1, 1 if "y up" in axes else -1, 1 if "z towards" in axes else -1


def _read_image_unchanged(path: str | Path) -> NDArray:
    data = read_bytes(path)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error as error:
        raise DataError(f"{path} cannot be decoded: {error}") from error
    if image is None:
        raise DataError(f"{path} is not an image that OpenCV can read. Copy the file again.")
    return image


def _read_npy(path: str | Path) -> NDArray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a NumPy array: {error}") from error


def _path_of(sample: Sample, key: str, what: str) -> str:
    """The path under ``key``; the steps that load it also need the image's size and its mask."""
    path = sample.get(key)
    if path is None:
        raise DataError(f"{sample.get('img_path')} has no {what} (no {key}).")
    needed = "ori_size_hw" if what == "mask" else "mask"
    if needed not in sample:
        first = "LoadImage" if what == "mask" else "LoadMask"
        raise ConfigError(f"loading the {what} needs {needed}: put {first} before it.")
    return path


def _check_size(values: NDArray, path: str, sample: Sample) -> None:
    height, width = sample["ori_size_hw"]
    if values.shape[:2] != (height, width):
        raise DataError(
            f"{path} is {values.shape[0]}x{values.shape[1]}, but its image "
            f"{sample.get('img_path')} is {height}x{width} (height x width, after EXIF rotation). "
            "Make them the same size."
        )


@register_transform
class LoadMask(BaseTransform):
    """Reads ``mask_path`` into ``mask`` (H, W) uint8, 1 on the person and 0 elsewhere.

    Raises:
        DataError: If the file cannot be read, its size is not the image's, or it is empty: there
            is nothing to learn from then. The dataset's ``on_corrupt="skip"`` passes over it.
    """

    def transform(self, sample: Sample) -> Sample:
        """Adds mask."""
        path = _path_of(sample, "mask_path", "mask")
        mask = read_mask(path)
        _check_size(mask, path, sample)
        if not mask.any():
            raise DataError(f"{path} is empty: no pixel is foreground. Remove the sample.")
        sample["mask"] = mask
        return sample


@register_transform
class LoadDepth(BaseTransform):
    """Reads ``depth_path`` into ``depth`` (H, W) float32, larger is farther.

    Values are multiplied by the record's ``depth_scale``. What an image of integers holds as 0, not
    measured, is taken out of ``mask``.

    Raises:
        DataError: If the file cannot be read, its size is not the image's, or depth inside the
            mask is not finite.
    """

    def transform(self, sample: Sample) -> Sample:
        """Adds depth."""
        path = _path_of(sample, "depth_path", "depth")
        depth = read_depth(path, sample.get("depth_scale", 1.0))
        _check_size(depth, path, sample)
        finite = np.isfinite(depth)
        if Path(path).suffix.lower() not in (".npy", ".exr"):
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
        sample["depth"] = depth
        return sample


@register_transform
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
        path = _path_of(sample, "normal_path", "normals")
        normal = read_normal(path, axis_signs(sample.get("normal_axes", OUR_AXES)))
        _check_size(normal, path, sample)
        inside = sample["mask"].astype(bool)
        length = np.sqrt(np.einsum("hwc,hwc->hw", normal, normal))
        bad = inside & ~(abs(length - 1) <= self.tolerance)  # also where it is NaN
        if bad.any():
            y, x = np.argwhere(bad)[0]
            raise DataError(
                f"{path}: {bad.sum()} of {inside.sum()} normals inside the mask are not of length "
                f"1 (within {self.tolerance}), the first at {_first(bad)} with length "
                f"{length[y, x]:g}. Normalise the file, or take the pixels out of the mask "
                f"{sample.get('mask_path')}; LoadNormal(tolerance=...) allows more."
            )
        sample["normal"] = normal / np.where(inside, length, 1)[..., None]
        return sample


def _first(bad: NDArray[np.bool_]) -> str:
    y, x = np.argwhere(bad)[0]
    return f"x={x}, y={y}"
