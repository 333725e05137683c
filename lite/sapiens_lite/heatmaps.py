"""Keypoints from heatmaps, to a fraction of a pixel (UDP: Huang 2020; DARK: Zhang 2020)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Blurred heatmaps are clipped to this range before the logarithm.
_LOWEST, _HIGHEST = 1e-3, 50.0
_KERNEL = np.asarray(cv2.getGaussianKernel(11, 0, cv2.CV_32F))
_REACH = len(_KERNEL) // 2 + 1


def locate(heatmaps: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Finds the peaks of heatmaps.

    From the pixel of the maximum, one Newton step on the logarithm of the blurred heatmap, which is
    a paraboloid if the heatmap is a Gaussian.

    Args:
        heatmaps: (N, K, h, w).

    Returns:
        Points (N, K, 2), x and y in heatmap pixels; and scores (N, K), the highest values.
    """
    shape, (h, w) = heatmaps.shape[:2], heatmaps.shape[2:]
    maps = heatmaps.reshape(-1, h, w)
    peaks = maps.reshape(len(maps), h * w).argmax(axis=1)  # the first in reading order
    y, x = peaks // w, peaks % w
    scores = maps[np.arange(len(maps)), y, x]
    points = np.stack([x, y], axis=1).astype(np.float32)
    for i, one in enumerate(maps):
        if scores[i] > 0:  # else it is flat, and there is no step
            points[i] += _newton_step(_log_around(one, int(x[i]), int(y[i]), float(scores[i])))
    return points.reshape(*shape, 2), scores.reshape(shape)


def _log_around(heatmap: NDArray[np.float32], x: int, y: int, score: float) -> NDArray[np.float32]:
    """The logarithm of the blurred heatmap at the 3x3 pixels around its peak.

    It is scaled to the heatmap's own maximum before it is clipped; where nothing is clipped the
    scale only adds a constant, and the blur is needed around the peak alone.
    """
    padded = np.zeros((2 * _REACH + 1, 2 * _REACH + 1), np.float32)
    top, left = max(y - _REACH, 0), max(x - _REACH, 0)
    part = heatmap[top : y + _REACH + 1, left : x + _REACH + 1]
    first_y, first_x = top - (y - _REACH), left - (x - _REACH)
    padded[first_y : first_y + part.shape[0], first_x : first_x + part.shape[1]] = part
    # Beyond the heatmap its border pixel is repeated.
    rows = np.arange(y - 1, y + 2).clip(0, heatmap.shape[0] - 1) - y + _REACH
    columns = np.arange(x - 1, x + 2).clip(0, heatmap.shape[1] - 1) - x + _REACH
    around = _blur(padded)[rows[:, None], columns]
    if around.min() < _LOWEST or score > _HIGHEST:
        around = around * (score / _blur(heatmap).max())
    return np.log(around.clip(_LOWEST, _HIGHEST))


def _blur(heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blurs with zeros around."""
    blurred = cv2.sepFilter2D(heatmap, -1, _KERNEL, _KERNEL, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float32)


def _newton_step(log_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """The step (2,), x and y, from the middle of (3, 3) to its paraboloid's stationary point."""
    (a, b, _), (d, e, f), (_, h, i) = log_map
    dx, dy = (f - d) / 2, (h - b) / 2
    eps = np.finfo(np.float32).eps  # keeps the Hessian of a plateau regular
    dxx, dyy = f - 2 * e + d + eps, h - 2 * e + b + eps
    dxy = (i - f - h + 2 * e - d - b + a) / 2
    determinant = dxx * dyy - dxy * dxy
    if determinant == 0:
        return np.zeros(2, np.float32)
    return -np.array([dyy * dx - dxy * dy, dxx * dy - dxy * dx], np.float32) / determinant
