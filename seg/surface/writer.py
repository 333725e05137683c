"""Depth and normals as files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.image_files import write_rgb
from engine.infer.writer import Writer
from engine.registry import WRITERS
from seg.surface.pictures import colour_map, map_of, mask_of, normals_of_depth


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
        write_rgb(Path(f"{out_stem}.png"), self.picture(sample, image_bgr))

    def picture(self, sample: DataSample, image_bgr: np.ndarray) -> np.ndarray:
        """The image, and the map or maps beside it."""
        mask = mask_of(sample, "mask", image_bgr.shape[:2])
        values = map_of(sample, f"pred_{self.map_name}")
        panels = [colour_map(panel, mask) for panel in self.panels(values, mask)]
        return np.hstack([image_bgr[..., ::-1], *panels])

    def panels(self, values: NDArray, mask: NDArray) -> list[NDArray]:
        """Returns the maps that a picture shows beside the image."""
        return [values]

    def write_labels(self, sample: DataSample, out_stem: Path) -> None:
        """Writes the array alone."""
        np.save(f"{out_stem}.npy", map_of(sample, f"pred_{self.map_name}"))


@WRITERS.register_module()
class DepthWriter(MapWriter):
    """Writes relative depth (H, W) float32, 0 near, and image | depth | normals of the depth."""

    map_name = "depth_map"

    def panels(self, values: NDArray, mask: NDArray) -> list[NDArray]:
        """The depth, and normals made of it."""
        return [values, normals_of_depth(values, mask)]


@WRITERS.register_module()
class NormalWriter(MapWriter):
    """Writes unit normals (H, W, 3) float32, x right, y up, z towards the camera, and a picture."""

    map_name = "normal_map"
