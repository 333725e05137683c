"""Resizing maps as ``torch.nn.functional.interpolate`` does it, with NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SizeHW = tuple[int, int]
_ROWS = 32  # at once, so that what is computed of them stays in the processor's cache
_PORTION = 2**17
"""Pixels of logits that are interpolated at once."""


def resize_maps(maps: NDArray[np.float32], size_hw: SizeHW) -> NDArray[np.float32]:
    """Resizes maps (C, h, w) bilinearly, pixels being areas (``align_corners=False``)."""
    if maps.shape[1:] == tuple(size_hw):
        return maps
    (y0, y1, wy), (x0, x1, wx) = map(_taps, maps.shape[1:], size_hw)
    resized = np.empty((len(maps), *size_hw), np.float32)
    for values, target in zip(maps, resized, strict=True):
        wide = values.take(x0, axis=1) * (1 - wx) + values.take(x1, axis=1) * wx
        for top in range(0, len(target), _ROWS):
            rows = slice(top, top + _ROWS)
            down = wy[rows, None]
            upper, lower = wide[y0[rows]], wide[y1[rows]]
            np.add(upper * (1 - down), lower * down, out=target[rows])
    return resized


def labels_at(logits: NDArray[np.float32], sizes_hw: Sequence[SizeHW]) -> NDArray[np.uint8]:
    """Resizes logits (C, h, w) through sizes, one after the other, and takes the best class.

    Of the last resizing only those pixels are computed whose four neighbours differ in their best
    class: all weights are positive, so where they agree it stays the best.

    Returns:
        Labels (H, W); the lower class of a tie.
    """
    *before, size_hw = sizes_hw
    for between_hw in before:
        logits = resize_maps(logits, between_hw)
    by_pixel = np.ascontiguousarray(logits.transpose(1, 2, 0))  # the logits of a pixel together
    labels = by_pixel.argmax(axis=2).astype(np.uint8)
    if labels.shape == tuple(size_hw):
        return labels
    (y0, y1, wy), (x0, x1, wx) = map(_taps, logits.shape[1:], size_hw)
    below = labels[np.minimum(np.arange(len(labels)) + 1, len(labels) - 1)]
    same = (labels == below) & (labels == _right(labels)) & (labels == _right(below))
    found = labels[y0][:, x0]
    rows, columns = np.nonzero(~same[y0][:, x0])
    for start in range(0, len(rows), _PORTION):
        y, x = rows[start : start + _PORTION], columns[start : start + _PORTION]
        across, down = wx[x, None], wy[y, None]
        upper = by_pixel[y0[y], x0[x]] * (1 - across) + by_pixel[y0[y], x1[x]] * across
        lower = by_pixel[y1[y], x0[x]] * (1 - across) + by_pixel[y1[y], x1[x]] * across
        found[y, x] = (upper * (1 - down) + lower * down).argmax(axis=1)
    return found


def _right(labels: NDArray) -> NDArray:
    return labels[:, np.minimum(np.arange(labels.shape[1]) + 1, labels.shape[1] - 1)]


def _taps(size: int, target: int) -> tuple[NDArray, NDArray, NDArray[np.float32]]:
    """The two pixels between which each pixel of the target lies, and the weight of the second.

    In float32, as torch computes it: at the right edge of a large image that is 1e-4 off.
    """
    scale = np.float32(size) / np.float32(target)
    place = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    place = place.clip(min=0)
    first = place.astype(np.intp).clip(max=size - 1)
    return first, (first + 1).clip(max=size - 1), (place - first).astype(np.float32)


def resize_cubic(image: NDArray[np.uint8], size_hw: SizeHW) -> NDArray[np.uint8]:
    """Resizes an image (H, W, 3) with Pillow's antialiased cubic, as features are trained.

    The kernel (a = -1/2) widens where the image shrinks; each direction is rounded, columns first.
    """
    values = image.astype(np.float32)
    if image.shape[1] != size_hw[1]:
        weights = _cubic_weights(image.shape[1], size_hw[1])
        values = np.einsum("hwc,tw->htc", values, weights, optimize=True)
        values = np.rint(values).clip(0, 255)
    if image.shape[0] != size_hw[0]:
        weights = _cubic_weights(image.shape[0], size_hw[0])
        values = np.einsum("hwc,th->twc", values, weights, optimize=True)
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _cubic_weights(size: int, target: int) -> NDArray[np.float32]:
    """(target, size): what each pixel of the target takes of the others."""
    scale = size / target
    width = max(scale, 1.0)
    centre = (np.arange(target)[:, None] + 0.5) * scale
    x = np.abs((np.arange(size) + 0.5 - centre) / width)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
