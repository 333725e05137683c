"""Affine maps of the image plane: 2x3 float64 matrices that take (x, y) to (x', y').

Pixel centres are at integers, as in ``cv2.warpAffine``: an image of size (H, W) covers
[-0.5, W - 0.5] x [-0.5, H - 0.5]. x points right, y down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""(2, 3)."""
SizeHW = tuple[int, int]

TOLERANCE = 1e-8
"""Deviation of a matrix entry that only rounding explains."""


def identity() -> Matrix:
    """The map that moves nothing."""
    return np.eye(2, 3)


def compose(first: Matrix, then: Matrix) -> Matrix:
    """The map that applies ``first``, then ``then``."""
    linear = then[:, :2] @ first[:, :2]
    offset = then[:, :2] @ first[:, 2] + then[:, 2]
    return np.column_stack([linear, offset])


def invert(matrix: Matrix) -> Matrix:
    """The inverse map, or maps (..., 2, 3).

    Raises:
        numpy.linalg.LinAlgError: If a map is singular.
    """
    linear = np.linalg.inv(matrix[..., :2])
    return np.concatenate([linear, -linear @ matrix[..., 2:]], axis=-1)


def resize(from_hw: SizeHW, to_hw: SizeHW) -> Matrix:
    """Stretches one image area onto another: x' = (x + 0.5) * s - 0.5, as ``cv2.resize`` does."""
    scale_x, scale_y = to_hw[1] / from_hw[1], to_hw[0] / from_hw[0]
    return np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2]])


def crop(left: float, top: float) -> Matrix:
    """Makes the pixel (left, top) the origin."""
    return np.array([[1.0, 0, -left], [0, 1, -top]])


def rotate(degrees: float, size_hw: SizeHW) -> Matrix:
    """Turns about the canvas centre; positive is clockwise as seen on a screen (y is down)."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    centre = np.array([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])
    return np.column_stack([linear, centre - linear @ centre])


def flip(size_hw: SizeHW) -> Matrix:
    """Mirrors left and right: x' = W - 1 - x."""
    return np.array([[-1.0, 0, size_hw[1] - 1], [0, 1, 0]])


def is_mirror(matrix: Matrix) -> bool:
    """Whether the map turns left hands into right hands."""
    return bool(np.linalg.det(matrix[:, :2]) < 0)


def is_axis_aligned(matrix: Matrix) -> bool:
    """Whether rows stay rows and columns stay columns."""
    return bool(abs(matrix[0, 1]) < TOLERANCE and abs(matrix[1, 0]) < TOLERANCE)


def transform_points(points: NDArray, matrix: Matrix) -> NDArray:
    """Maps points (..., 2), or each (K, 2) by its own of maps (..., 2, 3); keeps their dtype."""
    offset = matrix[:, 2] if matrix.ndim == 2 else matrix[..., None, :, 2]
    mapped = points @ np.swapaxes(matrix[..., :2], -1, -2) + offset
    return mapped.astype(points.dtype, copy=False)


def fit_size_hw(size_hw: SizeHW, into_hw: SizeHW) -> SizeHW:
    """The size, aspect kept, whose long edge fits the long and whose short edge the short one.

    The rule of MMCV's rescale: a landscape image and a portrait target are compared by edge
    length, not by axis, so the result may exceed ``into_hw`` along one axis.
    """
    factor = min(max(into_hw) / max(size_hw), min(into_hw) / min(size_hw))
    return max(int(size_hw[0] * factor + 0.5), 1), max(int(size_hw[1] * factor + 0.5), 1)
