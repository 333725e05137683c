"""Writes synthetic heads in the layout of FaceSynthetics (Wood et al., 2021).

A flat folder of ``NNNNNN.png`` (RGB) and ``NNNNNN_seg.png`` (8-bit class ids). The landmark files
``NNNNNN_ldmks.txt`` of the real data hold 70 points that these heads do not have, and are left out.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engine.errors import DataError

from .head import sample_head
from .labels import FACE_LABELS
from .render import render

FACE_PATTERN = "[0-9]" * 6 + "*.png"  # matches the files that write_face writes


def write_face(out_dir: Path, index: int, seed: int, size_hw: tuple[int, int]) -> None:
    """Writes picture and labels of one head, which depend only on seed, index and size.

    Raises:
        DataError: A file cannot be written.
    """
    picture = render(sample_head(np.random.default_rng([seed, index])), size_hw)
    files = {"": picture.image, "_seg": picture.labels(FACE_LABELS)}
    for suffix, pixels in files.items():
        path = out_dir / f"{index:06d}{suffix}.png"
        if not cv2.imwrite(str(path), pixels):
            raise DataError(f"{path}: cannot be written. Check the folder's rights and free space.")
