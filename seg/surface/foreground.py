"""Masks of the images to predict, such as the foreground that segmentation wrote."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data.files import MASK_SUFFIXES
from engine.errors import DataError
from seg.surface.loading import read_mask


def load_mask(seg_dir: Path, stem: str, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Reads the mask of an image, resized to it if need be.

    Args:
        seg_dir: Folder of the masks.
        stem: Path of the image's results relative to the output folder, without suffix.
        size_hw: Height and width of the image.

    Returns:
        (H, W), 1 on the foreground and 0 elsewhere.

    Raises:
        DataError: If there is no ``<stem>.npy`` or ``.png``, or it is no mask.
    """
    paths = [seg_dir / f"{stem}{suffix}" for suffix in MASK_SUFFIXES]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise DataError(f"no mask: neither {paths[0]} nor {paths[1].name} exists.")
    mask = cv2.resize(read_mask(found[0]), size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(mask, np.uint8)
