"""The regions of all labels of a map, as polygons or run lengths."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Of a pixel: where its side begins, and how the side runs, with the pixel on the right hand. Top,
# right, bottom, left; each is followed by the next, seen from inside.
_STARTS_XY = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
_STEPS_XY = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])

Part = dict[str, Any]
"""``points``, [x1, y1, x2, y2, ...] as COCO has them, clockwise on a screen; and ``holes``, a list
of such lists, counter-clockwise."""


def polygons_of(labels: NDArray[np.uint8]) -> dict[int, list[Part]]:
    """Follows the borders of labels (H, W), along the sides of pixels.

    Corners are therefore whole numbers from 0 to W and H, and areas are counts of pixels: filling
    the polygons gives the labels back. Parts that touch at a corner only are apart.

    Returns:
        The parts of each label.
    """
    pixels, ways = _sides(labels)
    starts = pixels + _STARTS_XY[ways]
    own = labels[pixels[:, 1], pixels[:, 0]].astype(np.int64)
    outer: dict[int, list[tuple[int, int, Part]]] = {}
    holes: dict[int, list[tuple[int, int, list[int]]]] = {}
    for loop in _loops(_following(starts, ways, own, labels.shape), ways):
        corners = starts[loop]
        (x, y), label = pixels[loop[0]].tolist(), int(own[loop[0]])
        points = corners.ravel().tolist()
        if _area(corners) > 0:
            outer.setdefault(label, []).append((x, y, {"points": points, "holes": []}))
        else:
            holes.setdefault(label, []).append((x, y, points))
    for label, found in holes.items():
        mask = (labels == label).view(np.uint8)
        _, numbers = cv2.connectedComponents(mask, connectivity=4)
        parts = {int(numbers[y, x]): part for x, y, part in outer[label]}
        for x, y, points in found:
            parts[int(numbers[y, x])]["holes"].append(points)
    return {label: [part for _, _, part in outer[label]] for label in sorted(outer)}


def _sides(labels: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The sides of pixels that another label or the end of the map is beyond.

    Returns:
        Their pixels (N, 2), x and y, and which side of them it is (N,).
    """
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge = ((1, 0), (0, 0)), ((0, 0), (0, 1)), ((0, 1), (0, 0)), ((0, 0), (1, 0))
    inner = down, right, down, right
    found = [
        np.argwhere(np.pad(differs, width, constant_values=True))[:, ::-1]
        for differs, width in zip(inner, edge, strict=True)
    ]
    return np.concatenate(found), np.repeat(np.arange(4), [len(sides) for sides in found])


def _following(
    starts: NDArray, ways: NDArray, own: NDArray, size_hw: tuple[int, ...]
) -> NDArray[np.intp]:
    """The side that follows each side.

    At most two of a label begin at a corner, of pixels that touch there only. Then the right turn
    is the one, which stays with the pixel.
    """
    width = size_hw[1] + 1
    ends = starts + _STEPS_XY[ways]
    # Sides are found by label, where they begin, and how they run.
    first = own * (size_hw[0] + 1)
    keys = ((first + starts[:, 1]) * width + starts[:, 0]) * 4 + ways
    order = np.argsort(keys)
    sorted_keys = keys[order]
    following = np.full(len(keys), -1, np.intp)
    for turn in (-1, 0, 1):  # left, straight, right: the last that is there counts
        wanted = ((first + ends[:, 1]) * width + ends[:, 0]) * 4 + (ways + turn) % 4
        places = np.searchsorted(sorted_keys, wanted).clip(max=len(keys) - 1)
        there = sorted_keys[places] == wanted
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


def run_lengths_of(labels: NDArray[np.uint8]) -> dict[int, dict[str, Any]]:
    """COCO's run lengths of each label of (H, W), not compressed: by columns, others first."""
    values = labels.ravel(order="F")
    edges = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1, [values.size]])
    run_labels = values[edges[:-1]]
    found = {}
    for label in np.unique(run_labels).tolist():
        runs = np.flatnonzero(run_labels == label)  # none of them next to one another
        ends = np.stack([edges[runs], edges[runs + 1]], axis=1).ravel()
        counts = np.diff(np.concatenate([[0], ends, [values.size]])).tolist()
        counts = counts if counts[-1] else counts[:-1]
        found[label] = {"size": list(labels.shape), "counts": counts}
    return found
