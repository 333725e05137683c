"""What is odd about depth that can be learnt from all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seg.surface.reading import DEPTH_ARRAYS, read_stored_depth

MIN_SHARE = 0.001
"""Of the mask; a depth relative to its nearest pixel is 0 there and nowhere else."""

TRAITS = {
    "negative-depth": (
        "negative depth inside the mask; is it that of a camera that looks along -z? Larger must "
        "be farther: negate the files"
    ),
    "zero-depth": (
        "depth of exactly 0 inside the mask; if it stands for a pixel that was not measured, take "
        "it out of the mask, as it counts as the nearest one"
    ),
    "8-bit-depth": (
        "depth of 8 bits: a shape of at most 256 steps; save 16-bit png, or npy of floats"
    ),
}
"""Kind -> what it means and what to do."""


def depth_traits(path: str | Path, mask: NDArray) -> frozenset[str]:
    """Returns which of TRAITS a file has.

    Args:
        path: Of the depth.
        mask: (H, W), not zero on the person.

    Raises:
        DataError: If the file cannot be read.
    """
    stored = read_stored_depth(path)
    inside = stored[mask > 0]
    is_array = Path(path).suffix.lower() in DEPTH_ARRAYS
    found = {
        "negative-depth": bool((inside < 0).any()),
        "zero-depth": is_array and np.count_nonzero(inside == 0) > MIN_SHARE * inside.size,
        "8-bit-depth": stored.dtype.itemsize == 1,
    }
    return frozenset(kind for kind, holds in found.items() if holds)
