"""Depth and normals as pictures and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.image_files import write_rgb
from engine.infer.writer import Writer
from engine.registry import WRITERS
from engine.visualizer import PanelVisualizer
from seg.registry import VISUALIZERS

BACKGROUND = 100  # grey
SOBEL_SIZE = 7


def colour_depth(depth: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours depth (H, W) from the nearest (bright) to the farthest (dark) inside the mask.

    Returns:
        (H, W, 3) RGB of OpenCV's inferno; grey outside the mask.
    """
    nearness = 255 * (1 - _relative(depth, mask))
    picture = cv2.applyColorMap(nearness.astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].copy()
    picture[~mask] = BACKGROUND
    return picture


def normals_of_depth(depth: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Normals (H, W, 3) of a surface whose relative depth is its height, by 7x7 Sobel slopes.

    Relative depth has no unit, so neither have the slopes: this shows shapes, and measures nothing.
    """
    relative = np.where(mask, _relative(depth, mask), 1).astype(np.float32)
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


def _relative(depth: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """0 at the nearest and 1 at the farthest pixel of the mask; all 0 if there is one depth."""
    values = depth[mask]
    near, far = (values.min(), values.max()) if values.size else (0, 0)
    inside = np.where(mask, depth - near, 0)
    return (inside / (far - near or 1)).clip(0, 1)


class MapVisualizer(PanelVisualizer):
    """Draws image | truth | prediction, inside ``gt_mask`` if a sample has one."""

    map_name: ClassVar[str]
    """Data samples hold the maps as ``gt_<map_name>`` and ``pred_<map_name>``."""

    @staticmethod
    def colour(values: NDArray, mask: NDArray, /) -> NDArray:
        """Makes (H, W, 3) RGB of a map and a mask (H, W)."""
        raise NotImplementedError

    def panels(self, image: NDArray, data_sample: DataSample) -> list[NDArray]:
        """See base class."""
        panels = [self.shrink(image)]
        size_wh = panels[0].shape[1::-1]
        for key in (f"gt_{self.map_name}", f"pred_{self.map_name}"):
            if key in data_sample:
                values = map_of(data_sample, key)
                colours = self.colour(values, mask_of(data_sample, "gt_mask", values.shape[:2]))
                panels.append(cv2.resize(colours, size_wh, interpolation=cv2.INTER_AREA))
        return panels


@VISUALIZERS.register_module()
class DepthVisualizer(MapVisualizer):
    """Draws image | true depth | predicted depth, each from its nearest to its farthest pixel."""

    map_name = "depth_map"
    colour = staticmethod(colour_depth)


@VISUALIZERS.register_module()
class NormalVisualizer(MapVisualizer):
    """Draws image | true normals | predicted normals."""

    map_name = "normal_map"
    colour = staticmethod(colour_normals)


def map_of(sample: Any, key: str) -> NDArray[np.float32]:
    """The map under ``key`` as (H, W), or (H, W, C) if it has several channels."""
    values = sample.get(key).data.float().cpu().numpy()
    return values[0] if len(values) == 1 else values.transpose(1, 2, 0)


def mask_of(sample: Any, key: str, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) under ``key``; everything if there is none."""
    if key not in sample:
        return np.ones(size_hw, bool)
    return sample.get(key).data[0].cpu().numpy() > 0


class MapWriter(Writer):
    """Writes ``<stem>.npy`` and ``<stem>.png``.

    A picture shows the map inside ``sample.mask`` (1, H, W), if there is one; the array is of the
    whole image.
    """

    suffixes = (".npy", ".png")
    label_suffix = ".npy"
    takes_masks = True
    map_name: ClassVar[str]
    """Data samples hold the map as ``pred_<map_name>``."""
    panels: ClassVar[tuple[Callable[[NDArray, NDArray], NDArray], ...]]
    """Each makes (H, W, 3) RGB of a map and a mask."""

    def __init__(self) -> None:  # that of a Protocol would take any argument
        pass

    def write(self, sample: DataSample, image_bgr: np.ndarray, out_stem: Path) -> None:
        """Writes the results of an image.

        Args:
            sample: With the predicted map at the image's size.
            image_bgr: The image (H, W, 3) uint8.
            out_stem: Path of the results without suffix.
        """
        self.write_labels(sample, out_stem)
        mask = mask_of(sample, "mask", image_bgr.shape[:2])
        values = map_of(sample, f"pred_{self.map_name}")
        picture = np.hstack([image_bgr[..., ::-1], *(panel(values, mask) for panel in self.panels)])
        write_rgb(Path(f"{out_stem}.png"), picture)

    def write_labels(self, sample: DataSample, out_stem: Path) -> None:
        """Writes the array alone."""
        np.save(f"{out_stem}.npy", map_of(sample, f"pred_{self.map_name}"))


def _colour_normals_of_depth(depth: NDArray, mask: NDArray) -> NDArray:
    return colour_normals(normals_of_depth(depth, mask), mask)


@WRITERS.register_module()
class DepthWriter(MapWriter):
    """Writes relative depth (H, W) float32, 0 near, and image | depth | normals of the depth."""

    map_name = "depth_map"
    panels = (colour_depth, _colour_normals_of_depth)


@WRITERS.register_module()
class NormalWriter(MapWriter):
    """Writes unit normals (H, W, 3) float32, x right, y up, z towards the camera, and a picture."""

    map_name = "normal_map"
    panels = (colour_normals,)
