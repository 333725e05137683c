"""What all writers share: the random numbers of a picture, and files that fail loudly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from engine.errors import DataError

Split = Literal["train", "val"]


def scene_rng(seed: int, index: int, split: Split = "train") -> np.random.Generator:
    """The generator of one picture, which no other picture of the same seed shares."""
    return np.random.default_rng([seed, index] if split == "train" else [seed, index, 1])


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Writes a picture or a label map, of the format that the suffix says.

    Raises:
        DataError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels):
        raise DataError(f"{path}: cannot be written. Check the folder's rights and free space.")


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
