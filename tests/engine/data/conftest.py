from collections.abc import Callable

import numpy as np
import pytest

from engine.data import geometry
from engine.data.sample import Sample

CLASSES = ("Background", "Left_eye", "Right_eye", "Nose")
PAIRS = (("Left_eye", "Right_eye"),)


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    """Makes a loaded sample of random pixels, with further fields given by keyword."""

    def make(size_hw: tuple[int, int] = (40, 30), seed: int = 0, **fields) -> Sample:
        rng = np.random.default_rng(seed)
        return {
            "img_path": "face.png",
            "sample_idx": 3,
            "metainfo": {"classes": CLASSES, "flip_pairs": PAIRS, "ignore_index": 255},
            "rng": np.random.default_rng([seed, 0, 3]),
            "img": rng.integers(0, 256, (*size_hw, 3), dtype=np.uint8),
            "seg_map": rng.integers(0, len(CLASSES), size_hw, dtype=np.uint8),
            "ori_size_hw": size_hw,
            "size_hw": size_hw,
            "matrix": geometry.identity(),
            "flip": False,
            **fields,
        }

    return make
