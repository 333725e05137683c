"""The images that a new file is checked with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from engine.infer import find_images
from mmsapiens.synthetic import render, sample_head, sample_person

NUM = 3
"""Images; the larger batch holds them all."""


def check_images(folder: str | Path | None, size_hw: tuple[int, int]) -> Tensor:
    """Returns pixels (3, 3, H, W) uint8, in BGR order: the first images of a folder, or rendered.

    Args:
        folder: Of images; an image, a pattern or a list will do, too. None renders two persons and
            a head.
        size_hw: Images are stretched to it.

    Raises:
        DataError: There are no images, or one cannot be read.
    """
    if folder is None:
        rng = np.random.default_rng(0)
        scenes = [sample_person(rng), sample_person(rng), sample_head(rng)]
        found = [render(scene, size_hw).image for scene in scenes]
    else:
        found = [image.read() for image in find_images(str(folder), what="images")[:NUM]]
        found = [found[i % len(found)] for i in range(NUM)]
    small = [cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA) for image in found]
    return torch.from_numpy(np.stack(small).transpose(0, 3, 1, 2).copy())
