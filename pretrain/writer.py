"""The files that feature extraction leaves for an image."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.errors import ConfigError, DataError
from engine.image_files import write_rgb
from engine.infer.writer import Writer
from engine.registry import WRITERS

_PANEL_EDGE = 256


@WRITERS.register_module()
class FeatureWriter(Writer):
    """Writes ``<stem>.npy``, and ``<stem>_attention.png`` if the model made maps of it.

    Args:
        dtype: ``"float32"``, or ``"float16"`` for half the space.
        opacity: Weight of the colours in the picture, in [0, 1].
    """

    suffixes = (".npy", "_attention.png")

    def __init__(self, dtype: str = "float32", opacity: float = 0.5) -> None:
        if dtype not in ("float32", "float16"):
            raise ConfigError(f"FeatureWriter: dtype is 'float32' or 'float16'; found {dtype!r}.")
        self.dtype = dtype
        self.opacity = opacity

    def write(self, sample: DataSample, image_bgr: NDArray, out_stem: Path) -> None:
        """Writes the results of an image.

        Args:
            sample: With ``features`` (D, h, w), and perhaps ``attention`` (heads, h, w).
            image_bgr: The image (H, W, 3) uint8.
            out_stem: Path of the results without suffix: features (D, h, w) go to ``.npy``.

        Raises:
            DataError: If values are too large for the dtype.
        """
        features = sample.features.data.float().cpu().numpy().astype(self.dtype)
        if not np.isfinite(features).all():
            raise DataError(f"{out_stem}.npy: some features are not finite as {self.dtype}.")
        np.save(f"{out_stem}.npy", features)
        if "attention" in sample:
            maps = sample.attention.data.float().cpu().numpy()
            picture = draw_attention(image_bgr[..., ::-1], maps, self.opacity)
            write_rgb(Path(f"{out_stem}_attention.png"), picture)


def draw_attention(image: NDArray, maps: NDArray, opacity: float = 0.5) -> NDArray:
    """Draws each head's map over the image, in rows of about as many columns.

    Args:
        image: RGB (H, W, 3) uint8.
        maps: (heads, h, w), >= 0; each is shown relative to its own highest value.
        opacity: Weight of the colours in [0, 1].

    Returns:
        RGB uint8; unused places of the last row are black.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _PANEL_EDGE / max(height, width))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    panels = []
    for values in maps:
        grey = np.rint(255 * values / max(values.max(), 1e-12)).astype(np.uint8)
        grey = cv2.resize(grey, size_wh, interpolation=cv2.INTER_LINEAR)
        colours = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[..., ::-1]
        panels.append(cv2.addWeighted(small, 1 - opacity, colours, opacity, 0))
    columns = math.ceil(math.sqrt(len(panels)))
    panels += [np.zeros_like(small)] * (-len(panels) % columns)
    rows = [np.hstack(panels[i : i + columns]) for i in range(0, len(panels), columns)]
    return np.vstack(rows)
