"""Regions of a label map as polygons or run lengths."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Of a pixel: where its side begins, and how the side runs, with the pixel on the right hand. Top,
# right, bottom, left; each is followed by the next, seen from inside.
_STARTS_XY = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
_STEPS_XY = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])


def polygons_of(mask: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Follows the borders of a mask (H, W), along the sides of its pixels.

    Corners are therefore whole numbers from 0 to W and H, and areas are counts of pixels: filling
    the polygons gives the mask back. Parts that touch at a corner only are apart.

    Returns:
        For each part ``points``, [x1, y1, x2, y2, ...] as COCO has them, clockwise on a screen; and
        ``holes``, a list of such lists, counter-clockwise.
    """
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    beyond = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    sides = [np.argwhere(inner & ~other)[:, ::-1] for other in beyond]  # x, y of their pixels
    pixels = np.concatenate(sides)
    ways = np.repeat(np.arange(4), [len(side) for side in sides])
    starts = pixels + _STARTS_XY[ways]
    following = _following(starts, ways, mask.shape[1] + 1)
    _, parts = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    found: dict[int, dict[str, Any]] = {}
    for loop in _loops(following, ways):
        x, y = pixels[loop[0]]
        part = found.setdefault(int(parts[y, x]), {"points": [], "holes": []})
        corners = starts[loop]
        points = corners.ravel().tolist()
        if _area(corners) > 0:
            part["points"] = points
        else:
            part["holes"].append(points)
    return [found[key] for key in sorted(found)]


def _following(starts: NDArray, ways: NDArray, width: int) -> NDArray[np.intp]:
    """The side that follows each side.

    At most two begin at a corner, of pixels that touch there only. Then the right turn is the one,
    which stays with the pixel.
    """
    ends = starts + _STEPS_XY[ways]
    # Sides are found by where they begin and how they run; each end is looked up for three ways.
    keys = (starts[:, 1] * width + starts[:, 0]) * 4 + ways
    order = np.argsort(keys)
    sorted_keys = keys[order]
    following = np.full(len(keys), -1, np.intp)
    for turn in (-1, 0, 1):  # left, straight, right: the last that is there counts
        wanted = (ends[:, 1] * width + ends[:, 0]) * 4 + (ways + turn) % 4
        places = np.searchsorted(sorted_keys, wanted).clip(max=max(len(keys) - 1, 0))
        there = sorted_keys[places] == wanted if len(keys) else np.zeros(0, bool)
        following[there] = order[places[there]]
    return following


def _loops(following: NDArray[np.intp], ways: NDArray) -> list[list[int]]:
    """Of each closed line, the sides at which it turns."""
    after, way = following.tolist(), ways.tolist()
    seen = [False] * len(after)
    loops = []
    for first in range(len(after)):
        if seen[first]:
            continue
        loop, side, before = [], first, None
        while not seen[side]:
            seen[side] = True
            if way[side] != before:
                loop.append(side)
            side, before = after[side], way[side]
        if before == way[first]:
            loop.pop(0)  # it began within a straight line
        loops.append(loop)
    return loops


def _area(corners_xy: NDArray) -> float:
    """Of a polygon (N, 2); negative if it runs counter-clockwise on a screen."""
    x, y = corners_xy.T.astype(np.int64)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def run_lengths_of(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's run lengths of a mask (H, W), not compressed: column by column, zeros first."""
    values = mask.ravel(order="F")
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    edges = np.concatenate([[0] if values[:1].any() else [], [0], changes, [values.size]])
    return {"size": list(mask.shape), "counts": np.diff(edges).astype(int).tolist()}
