"""People cut out of an image, of the input's aspect ratio, and the way back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float32]
"""(N, 5): x1, y1, x2, y2 in pixels, and a score."""
_ROWS = 64  # at once, so that what is computed of them stays in the processor's cache


def boxes_within(boxes: Boxes, size_hw: tuple[int, int]) -> tuple[Boxes, list[str]]:
    """Returns the boxes (N, 5) that have an area in an image, and a sentence on each other one."""
    height, width = size_hw
    lower, upper = boxes[:, :2].clip(min=0), np.minimum(boxes[:, 2:4], (width, height))
    good = (upper > lower).all(axis=1) & np.isfinite(boxes).all(axis=1)
    bad = [
        f"the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}), x1, y1, x2, y2, has no area within the image "
        f"of {width}x{height} (width x height), or is not finite; it is left out."
        for x1, y1, x2, y2, _ in boxes[~good]
    ]
    return boxes[good], bad


def crop_matrix(
    box_xyxy: ArrayLike, size_hw: tuple[int, int], padding: float
) -> NDArray[np.float64]:
    """The map (2, 3) from image pixels to a crop's.

    The box is padded, and its short side enlarged to the crop's aspect ratio, so that nobody is
    stretched. Sizes are counted between the centres of the outermost pixels (UDP).
    """
    x1, y1, x2, y2 = np.asarray(box_xyxy, np.float64)
    height, width = size_hw
    w, h = (x2 - x1) * padding, (y2 - y1) * padding
    w, h = max(w, h * width / height), max(h, w * height / width)
    scale = np.array([(width - 1) / w, (height - 1) / h])
    offset = (np.array([w, h]) / 2 - np.array([x1 + x2, y1 + y2]) / 2) * scale
    return np.column_stack([np.diag(scale), offset])


def cut_out(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size_hw: tuple[int, int]
) -> NDArray[np.uint8]:
    """Resamples an image (H, W, 3), black beyond it, as OpenCV 4's ``warpAffine`` does.

    The released models were evaluated with its coordinates, which are rounded to 1/32 pixel; OpenCV
    5 rounds them no longer, which moves a keypoint by a tenth of a pixel.
    """
    height, width = size_hw
    inverse = 1024 * invert(matrix)  # OpenCV counts in 1/1024 pixel, and keeps 1/32
    steps = np.rint(inverse[:, :1] * np.arange(width)).astype(np.int32)
    crop = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _ROWS):
        block = crop[top : top + _ROWS]
        rows = np.arange(top, top + len(block))
        starts = np.rint(inverse[:, 1:2] * rows + inverse[:, 2:]).astype(np.int32) + 16
        x, y = (starts[:, :, None] + steps[:, None]) >> 5
        whole = np.stack([x >> 5, y >> 5], axis=-1).clip(-(2**15), 2**15 - 1).astype(np.int16)
        part = ((y & 31) << 5 | (x & 31)).astype(np.uint16)
        cv2.remap(image, whole, part, cv2.INTER_LINEAR, dst=block, borderValue=(0, 0, 0, 0))
    return crop


def invert(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of a map (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])
