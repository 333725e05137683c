"""Depth and normals as pictures."""

from __future__ import annotations

from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.visualizer import PanelVisualizer
from seg.registry import VISUALIZERS

BACKGROUND = 100  # grey
SOBEL_SIZE = 7


Span = tuple[float, float]
"""The nearest and the farthest depth that a picture tells apart."""


def colour_depth(
    depth: NDArray[np.float32], mask: NDArray[np.bool_], span: Span | None = None
) -> NDArray[np.uint8]:
    """Colours depth (H, W) from the nearest (bright) to the farthest (dark).

    Args:
        depth: Any real numbers.
        mask: What is coloured.
        span: The depths of the brightest and the darkest colour; by default those in the mask.

    Returns:
        (H, W, 3) RGB of OpenCV's inferno; grey outside the mask.
    """
    nearness = 255 * (1 - _relative(depth, mask, span))
    picture = cv2.applyColorMap(nearness.astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].copy()
    picture[~mask] = BACKGROUND
    return picture


def normals_of_depth(
    depth: NDArray[np.float32], mask: NDArray[np.bool_], span: Span | None = None
) -> NDArray[np.float32]:
    """Normals (H, W, 3) of a surface whose relative depth is its height, by 7x7 Sobel slopes.

    Relative depth has no unit, so neither have the slopes: this shows shapes, and measures nothing.
    For arguments see :func:`colour_depth`.
    """
    relative = np.where(mask, _relative(depth, mask, span), 1).astype(np.float32)
    slope_x = cv2.Sobel(relative, cv2.CV_32F, 1, 0, ksize=SOBEL_SIZE)
    slope_y = cv2.Sobel(relative, cv2.CV_32F, 0, 1, ksize=SOBEL_SIZE)
    # x right, y up, z towards the camera: where depth grows to the right, the surface faces right.
    normal = np.dstack([slope_x, -slope_y, np.ones_like(relative)])
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def colour_normals(normal: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours unit normals (H, W, 3): (n + 1) / 2 with X in red, Y in green, Z in blue.

    Returns:
        (H, W, 3) RGB; black outside the mask.
    """
    colours = np.where(mask[..., None], (normal + 1) * 127.5, 0)
    return colours.round().clip(0, 255).astype(np.uint8)


def colour_map(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours depth (H, W) or normals (H, W, 3), whichever it is."""
    return colour_depth(values, mask) if values.ndim == 2 else colour_normals(values, mask)


def _relative(
    depth: NDArray[np.float32], mask: NDArray[np.bool_], span: Span | None
) -> NDArray[np.float32]:
    """0 at the nearest and 1 at the farthest depth; all 0 if there is one depth."""
    near, far = span or span_of(depth[mask])
    inside = np.where(mask, depth - near, 0)
    return (inside / (far - near or 1)).clip(0, 1)


def span_of(values: NDArray[np.float32]) -> Span:
    """The least and the greatest of some values; (0, 0) of none."""
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


class MapVisualizer(PanelVisualizer):
    """Draws image | truth | prediction, inside ``gt_mask`` if a sample has one."""

    map_name: ClassVar[str]
    """Data samples hold the maps as ``gt_<map_name>`` and ``pred_<map_name>``."""

    def panels(self, image: NDArray, data_sample: DataSample) -> list[NDArray]:
        """See base class."""
        panels = [self.shrink(image)]
        size_wh = panels[0].shape[1::-1]
        for key in (f"gt_{self.map_name}", f"pred_{self.map_name}"):
            if key in data_sample:
                values = map_of(data_sample, key)
                colours = colour_map(values, mask_of(data_sample, "gt_mask", values.shape[:2]))
                panels.append(cv2.resize(colours, size_wh, interpolation=cv2.INTER_AREA))
        return panels


@VISUALIZERS.register_module()
class DepthVisualizer(MapVisualizer):
    """Draws image | true depth | predicted depth, each from its nearest to its farthest pixel."""

    map_name = "depth_map"


@VISUALIZERS.register_module()
class NormalVisualizer(MapVisualizer):
    """Draws image | true normals | predicted normals."""

    map_name = "normal_map"


def map_of(sample: Any, key: str) -> NDArray[np.float32]:
    """The map under ``key`` as (H, W), or (H, W, C) if it has several channels."""
    values = sample.get(key).data.float().cpu().numpy()
    return values[0] if len(values) == 1 else values.transpose(1, 2, 0)


def mask_of(sample: Any, key: str, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) under ``key``; everything if there is none."""
    if key not in sample:
        return np.ones(size_hw, bool)
    return sample.get(key).data[0].cpu().numpy() > 0
