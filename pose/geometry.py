"""From a person's box to the map that cuts them out.

UDP (Huang et al., 2020): sizes are counted between the centers of the outermost pixels, so that the
map of a crop, of its mirror image and of its heatmaps are exact inverses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import DataError

BOX_PADDING = 1.25


def box_to_center_scale(
    boxes_xyxy: ArrayLike, padding: float = BOX_PADDING
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turns boxes (..., 4) into centers (..., 2) and padded sizes (..., 2), width and height.

    Raises:
        DataError: If a box has no area or is not finite.
    """
    boxes = np.asarray(boxes_xyxy, np.float64)
    first, last = boxes[..., :2], boxes[..., 2:]
    bad = ~(np.isfinite(boxes).all(axis=-1) & (last > first).all(axis=-1))
    if bad.any():
        raise DataError(
            f"The box {boxes[bad][0].tolist()} has no area; expected finite x1 < x2 and y1 < y2, "
            "in pixels. Mend or drop it."
        )
    return (first + last) / 2, (last - first) * padding


def fix_aspect(scale_wh: ArrayLike, size_wh: Sequence[int]) -> NDArray[np.float64]:
    """Enlarges the short side of sizes (..., 2) to the aspect ratio of ``size_wh``."""
    width, height = np.moveaxis(np.asarray(scale_wh, np.float64), -1, 0)
    ratio = size_wh[0] / size_wh[1]
    return np.stack([np.maximum(width, height * ratio), np.maximum(height, width / ratio)], axis=-1)


def udp_matrix(
    center_xy: ArrayLike,
    scale_wh: ArrayLike,
    size_wh: Sequence[int],
    rotation: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """The map from image pixels to a crop's: turn about the center, then stretch to the size.

    Its inverse is :func:`engine.data.geometry.invert`.

    Args:
        center_xy: (..., 2), pixels.
        scale_wh: Width and height (..., 2) of what the crop shows, pixels; see ``fix_aspect``.
        size_wh: (W, H) of the crop.
        rotation: (...), degrees; positive turns the content clockwise on a screen.

    Returns:
        (..., 2, 3).
    """
    center, scale = np.asarray(center_xy, np.float64), np.asarray(scale_wh, np.float64)
    angle = np.deg2rad(np.broadcast_to(rotation, center.shape[:-1]))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
    offset = scale / 2 - (turn @ center[..., None])[..., 0]
    stretch = (np.asarray(size_wh) - 1) / scale
    return np.concatenate([turn, offset[..., None]], axis=-1) * stretch[..., None]
