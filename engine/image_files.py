"""From a sample's image to a picture file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError


def image_rgb(packed: dict[str, Any]) -> NDArray:
    """Returns the image of a packed sample as (H, W, 3) RGB."""
    return np.ascontiguousarray(packed["inputs"].numpy()[::-1].transpose(1, 2, 0))


def write_rgb(path: Path, picture: NDArray) -> None:
    """Writes a picture (H, W, 3) RGB as PNG; raises DataError if it cannot."""
    write_png(path, picture[..., ::-1])


def write_png(path: Path, pixels: NDArray) -> None:
    """Writes grey (H, W) or BGR (H, W, 3) uint8 pixels; raises DataError if it cannot."""
    if not cv2.imwrite(str(path), pixels):
        raise DataError(f"{path} cannot be written. Check the folder's rights and free space.")
