"""``Warp``: the one step that moves pixels.

Accuracy, measured with OpenCV 5.0: ``warpAffine`` interpolates linearly at float32 coordinates
(within rounding of the exact value; OpenCV 4 quantises them to 1/32 pixel), and its nearest mode
errs only where a centre lies within about 1e-3 pixel of the middle between two others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.decoding import EncodedJpeg
from engine.data.fields import FIELDS, Field
from engine.data.sample import Sample
from engine.errors import ConfigError, DataError

# Intermediate results of so many rows stay in the processor's cache.
_BLOCK_ROWS = 64

# Deviation of a source position, in pixels, that only rounding explains.
_SLACK = 1e-6


@TRANSFORMS.register_module()
class Warp(BaseTransform):
    """Resamples every field of the sample once, by its row of the field table.

    Afterwards ``matrix`` is the identity, and ``warp_matrix`` the map from the original image to
    the output.

    Args:
        seg_pad_val: Label of pixels outside the original label map.
        interpolation: Of the image: ``"bilinear"`` (see ``sample_linear``), or ``"bicubic"``, which
            is antialiased at every scale, and resizes parts of whole pixels only (see
            ``sample_cubic``), or ``"fixed_point"``, OpenCV 4's bilinear arithmetic, on which the
            released pose models were evaluated (see ``sample_fixed_point``).

    Raises:
        DataError: If a map is not of the image's size.
    """

    def __init__(
        self,
        *,
        seg_pad_val: int = 255,
        interpolation: Literal["bilinear", "bicubic", "fixed_point"] = "bilinear",
    ) -> None:
        if interpolation not in ("bilinear", "bicubic", "fixed_point"):
            raise ConfigError(
                "Warp: interpolation is 'bilinear', 'bicubic' or 'fixed_point', found "
                f"{interpolation!r}."
            )
        self.interpolation = interpolation
        self.fields = {**FIELDS, "seg_map": replace(FIELDS["seg_map"], border=seg_pad_val)}

    def transform(self, sample: Sample) -> Sample:
        """Resamples all fields."""
        matrix, size_hw = sample["matrix"], sample["size_hw"]
        image_hw = sample["img"].shape[:2]
        for name, field in self.fields.items():
            if name not in sample:
                continue
            value = sample[name]
            if field.resample in ("linear", "nearest"):
                if value.shape[:2] != image_hw:
                    raise DataError(
                        f"{name} of {sample.get('img_path')} is {value.shape[:2]}, but the image "
                        f"is {image_hw} (height, width). Make them the same size."
                    )
                value = self._resample(value, field, matrix, size_hw)
            elif field.resample == "points":
                value = geometry.transform_points(value, matrix)
            elif field.resample == "boxes":
                value = transform_boxes(value, matrix)
            sample[name] = field.adjust(value, matrix, sample) if field.adjust else value
        before = sample.get("warp_matrix", geometry.identity())
        sample["warp_matrix"] = geometry.compose(before, matrix)
        sample["matrix"] = geometry.identity()
        return sample

    def _resample(
        self, value: Any, field: Field, matrix: geometry.Matrix, size_hw: geometry.SizeHW
    ) -> NDArray:
        if field.resample == "nearest":
            return sample_nearest(value, matrix, size_hw, field.border)
        is_cubic = self.interpolation == "bicubic"
        if isinstance(value, EncodedJpeg):
            value, matrix = _decode(value, matrix, size_hw, whole_pixels=is_cubic)
        if is_cubic:
            return sample_cubic(value, matrix, size_hw)
        if self.interpolation == "fixed_point":
            return sample_fixed_point(value, matrix, size_hw, field.border)
        return sample_linear(value, matrix, size_hw, field.border)


def sample_linear(
    image: NDArray, matrix: geometry.Matrix, size_hw: geometry.SizeHW, border: float
) -> NDArray:
    """Resamples an image (H, W, 3) with bilinear interpolation.

    The identity, whole-pixel crops and mirrors copy pixels exactly; a resize of the full frame is
    ``cv2.resize``, so that evaluation sees what the released models were evaluated on. Everything
    else is ``cv2.warpAffine``; below half size it averages areas first, against aliasing.

    Where the canvas lies wholly inside the image area, the outermost half pixel repeats the
    edge, as in ``cv2.resize``; elsewhere the image fades into ``border`` over one pixel.
    """
    if _is_mirrored_along_axes(matrix):
        upright = geometry.compose(matrix, geometry.flip(size_hw))
        return cv2.flip(sample_linear(image, upright, size_hw, border), 1)
    height, width = size_hw
    part = _whole_part(matrix, size_hw, image.shape[:2])
    if part is not None:
        shown = image[part]
        if shown.shape[:2] == tuple(size_hw):
            return np.ascontiguousarray(shown)
        if shown.shape == image.shape:
            return cv2.resize(image, (width, height))
    image, matrix = _shrink(image, matrix)
    inside = _is_inside(matrix, size_hw, image.shape[:2])
    warped = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_BGR2BGRA),  # four channels: same values in 40 % of the time
        geometry.invert(matrix),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE if inside else cv2.BORDER_CONSTANT,
        borderValue=(border,) * 4,
    )
    return cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR)


def sample_cubic(image: NDArray, matrix: geometry.Matrix, size_hw: geometry.SizeHW) -> NDArray:
    """Resizes a part (of whole pixels) of an image (H, W, 3) uint8 with an antialiased cubic.

    The kernel is Pillow's (a = -1/2, stretched where it shrinks), and so are the values, up to
    rounding: within 2 of 255 in a photograph, and mostly equal. Torch has it vectorised: 3 to 8 ms
    for 1024 x 1024 pixels, a seventh to a tenth of Pillow's time. OpenCV's cubic is another one
    (a = -3/4), and aliases.

    Raises:
        ConfigError: If the canvas shows another map of the image.
    """
    part = _whole_part(matrix, size_hw, image.shape[:2])
    if part is None:
        raise ConfigError(
            'Warp(interpolation="bicubic") resizes whole pixels of the image, as Resize, '
            "RandomResizedCrop and RandomFlip select them; the canvas shows a rotated one, parts "
            'of pixels, or what lies outside. Use interpolation="bilinear".'
        )
    values = np.ascontiguousarray(image[part])
    if values.shape[:2] != tuple(size_hw):
        planes = torch.from_numpy(values).permute(2, 0, 1)[None]  # channels last: the fast path
        resized = F.interpolate(planes, size=tuple(size_hw), mode="bicubic", antialias=True)
        values = np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())
    return cv2.flip(values, 1) if geometry.is_mirror(matrix) else values


def sample_fixed_point(
    image: NDArray, matrix: geometry.Matrix, size_hw: geometry.SizeHW, border: float
) -> NDArray:
    """Resamples an image (H, W, 3) uint8 exactly as ``cv2.warpAffine`` of OpenCV 4 does.

    That is bilinear at coordinates rounded to 1/32 pixel, without antialiasing; OpenCV 5 no longer
    rounds them. The difference moves a keypoint by a tenth of a pixel.
    """
    height, width = size_hw
    inverse = 1024 * geometry.invert(matrix)  # OpenCV counts in 1/1024 pixel, and keeps 1/32
    steps = np.rint(inverse[:, :1] * np.arange(width)).astype(np.int32)
    warped = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _BLOCK_ROWS):
        block = warped[top : top + _BLOCK_ROWS]
        rows = np.arange(top, top + len(block))
        starts = np.rint(inverse[:, 1:2] * rows + inverse[:, 2:]).astype(np.int32) + 16
        x, y = (starts[:, :, None] + steps[:, None]) >> 5
        whole = np.stack([x >> 5, y >> 5], axis=-1).clip(-(2**15), 2**15 - 1)
        cv2.remap(
            image,
            whole.astype(np.int16),
            ((y & 31) << 5 | (x & 31)).astype(np.uint16),
            cv2.INTER_LINEAR,
            dst=block,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(border,) * 4,
        )
    return warped


def sample_nearest(
    values: NDArray, matrix: geometry.Matrix, size_hw: geometry.SizeHW, border: float
) -> NDArray:
    """Takes for every output pixel the value (H, W[, C]) nearest to where its centre comes from.

    Half-way centres go to the higher index, before mirroring. (``cv2.resize`` with INTER_NEAREST
    takes the pixel under the output pixel's corner instead, half a pixel off from the image.)
    """
    if _is_mirrored_along_axes(matrix):
        upright = geometry.compose(matrix, geometry.flip(size_hw))
        return cv2.flip(sample_nearest(values, upright, size_hw, border), 1)
    height, width = size_hw
    inverse = geometry.invert(matrix)
    if geometry.is_axis_aligned(matrix):
        rows, row_outside = _nearest(inverse[1, 1], inverse[1, 2], height, values.shape[0])
        columns, column_outside = _nearest(inverse[0, 0], inverse[0, 2], width, values.shape[1])
        sampled = values.take(columns, axis=1).take(rows, axis=0)
        sampled[row_outside] = border
        sampled[:, column_outside] = border
        return sampled
    return cv2.warpAffine(
        values,
        inverse,
        (width, height),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(border,) * 4,
    )


def transform_boxes(boxes: NDArray, matrix: geometry.Matrix) -> NDArray:
    """The boxes (..., 4) x1, y1, x2, y2 around the mapped corners of the boxes."""
    x1, y1, x2, y2 = np.moveaxis(boxes, -1, 0)
    points = np.stack([x1, y1, x2, y1, x2, y2, x1, y2], axis=-1)
    points = geometry.transform_points(points.reshape(*boxes.shape[:-1], 4, 2), matrix)
    return np.concatenate([points.min(axis=-2), points.max(axis=-2)], axis=-1)


def _nearest(scale: float, offset: float, length: int, source: int) -> tuple[NDArray, NDArray]:
    """Source index of each of ``length`` positions along an axis, and which lie outside."""
    centres = scale * np.arange(length) + offset
    # The tolerance makes half-way centres go up even where rounding left them a hair below.
    index = np.floor(centres + 0.5 + geometry.TOLERANCE).astype(np.intp)
    return index.clip(0, source - 1), (index < 0) | (index >= source)


def _shrink(image: NDArray, matrix: geometry.Matrix) -> tuple[NDArray, geometry.Matrix]:
    """Averages areas of whole pixels where the map shrinks to less than half, per axis."""
    scale_x, scale_y = np.linalg.norm(matrix[:, :2], axis=0)
    factor_x, factor_y = max(int(1 / scale_x), 1), max(int(1 / scale_y), 1)
    if factor_x == factor_y == 1:
        return image, matrix
    from_hw = image.shape[:2]
    to_hw = max(from_hw[0] // factor_y, 1), max(from_hw[1] // factor_x, 1)
    small = cv2.resize(image, (to_hw[1], to_hw[0]), interpolation=cv2.INTER_AREA)
    return small, geometry.compose(geometry.resize(to_hw, from_hw), matrix)


def _decode(
    encoded: EncodedJpeg, matrix: geometry.Matrix, size_hw: geometry.SizeHW, whole_pixels: bool
) -> tuple[NDArray, geometry.Matrix]:
    """Decodes at the lowest resolution that the canvas does not exceed; returns its matrix too."""
    scale = np.linalg.norm(matrix[:, :2], axis=0).max()
    for factor in (8, 4, 2):
        reduced_hw = encoded.reduced_hw(factor)
        if factor * scale > 1 + geometry.TOLERANCE or reduced_hw is None:
            continue
        reduced = geometry.compose(geometry.resize((1, 1), (factor, factor)), matrix)
        if not whole_pixels or _whole_part(reduced, size_hw, reduced_hw) is not None:
            return encoded.decode(factor), reduced
    return encoded.decode(), matrix


def _whole_part(
    matrix: geometry.Matrix, size_hw: geometry.SizeHW, image_hw: geometry.SizeHW
) -> tuple[slice, slice] | None:
    """Rows and columns of the image that the canvas shows; None unless they are whole and in it."""
    if not geometry.is_axis_aligned(matrix) or matrix[1, 1] < 0:
        return None
    edges = np.array([0, 0, size_hw[1], size_hw[0]]) - 0.5
    origins = transform_boxes(edges, geometry.invert(matrix)) + 0.5
    left, top, right, bottom = whole = np.rint(origins).astype(int)
    if not np.allclose(origins, whole, rtol=0, atol=_SLACK):
        return None
    if min(left, top) < 0 or right > image_hw[1] or bottom > image_hw[0]:
        return None
    return slice(top, bottom), slice(left, right)


def _is_inside(
    matrix: geometry.Matrix, size_hw: geometry.SizeHW, image_hw: geometry.SizeHW
) -> bool:
    """Whether every pixel centre of the canvas comes from within the image area."""
    centres = np.array([0, 0, size_hw[1] - 1.0, size_hw[0] - 1.0])
    origins = transform_boxes(centres, geometry.invert(matrix))
    beyond = max(*-origins[:2], *origins[2:] - [image_hw[1] - 1, image_hw[0] - 1])
    return bool(beyond <= 0.5 + _SLACK)


def _is_mirrored_along_axes(matrix: geometry.Matrix) -> bool:
    return matrix[0, 0] < 0 and geometry.is_axis_aligned(matrix)
