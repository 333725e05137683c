"""Depth and normals as files."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.infer.writer import PICTURE_FORMATS, Output, Writer, check_format
from engine.registry import WRITERS
from seg.surface.pictures import (
    Span,
    colour_depth,
    colour_normals,
    map_of,
    mask_of,
    normals_of_depth,
    span_of,
)


class MapWriter(Writer):
    """Writes ``map``, ``<stem>.npy``, and ``picture``, ``<stem>.png``.

    A picture shows the map inside ``sample.mask`` (1, H, W), if there is one; the array is of the
    whole image.

    Args:
        save: The outputs; both by default.
        picture_format: "png", "jpg" or "webp".
    """

    default_save = ("map", "picture")
    label_suffix = ".npy"
    takes_masks = True
    map_name: ClassVar[str]
    """Data samples hold the map as ``pred_<map_name>``."""

    def __init__(self, save: Sequence[str] | None = None, picture_format: str = "png") -> None:
        self.picture_suffix = check_format("picture_format", picture_format, PICTURE_FORMATS)
        super().__init__(save)

    def all_outputs(self) -> dict[str, Output]:
        """Map and picture."""
        return {
            "map": Output(".npy", self._write_map, needs_image=False),
            "picture": Output(self.picture_suffix, self.write_picture),
        }

    def _write_map(self, sample: DataSample, _: NDArray, path: Path) -> None:
        np.save(path, self.map_of(sample))

    def map_of(self, sample: DataSample) -> NDArray:
        """Returns the predicted map, (H, W) or (H, W, 3)."""
        return map_of(sample, f"pred_{self.map_name}")

    def picture(
        self, sample: DataSample, image_bgr: np.ndarray, span: Span | None = None
    ) -> np.ndarray:
        """The image, and the map or maps beside it."""
        mask = mask_of(sample, "mask", image_bgr.shape[:2])
        return np.hstack([image_bgr[..., ::-1], *self.panels(self.map_of(sample), mask, span)])

    @abstractmethod
    def panels(self, values: NDArray, mask: NDArray, span: Span | None) -> list[NDArray]:
        """Draws what a picture shows beside the image; see :func:`colour_depth` for ``span``."""

    def write_labels(self, sample: DataSample, out_stem: Path) -> None:
        """Writes the array alone."""
        np.save(f"{out_stem}.npy", self.map_of(sample))


@WRITERS.register_module()
class DepthWriter(MapWriter):
    """Writes relative depth (H, W) float32, 0 near, and image | depth | normals of the depth."""

    map_name = "depth_map"

    def panels(self, values: NDArray, mask: NDArray, span: Span | None) -> list[NDArray]:
        """The depth, and normals made of it."""
        normals = colour_normals(normals_of_depth(values, mask, span), mask)
        return [colour_depth(values, mask, span), normals]

    def frame_drawer(self) -> Callable[[DataSample, NDArray], NDArray]:
        """A depth has one colour, from the nearest to the farthest of all frames until then."""
        near, far = math.inf, -math.inf

        def draw(sample: DataSample, image_bgr: NDArray) -> NDArray:
            nonlocal near, far
            nearest, farthest = span_of(self.map_of(sample))
            near, far = min(near, nearest), max(far, farthest)
            return self.picture(sample, image_bgr, (near, far))

        return draw


@WRITERS.register_module()
class NormalWriter(MapWriter):
    """Writes unit normals (H, W, 3) float32, x right, y up, z towards the camera, and a picture."""

    map_name = "normal_map"

    def panels(self, values: NDArray, mask: NDArray, span: Span | None) -> list[NDArray]:
        """The normals."""
        return [colour_normals(values, mask)]
