"""Writes synthetic heads in the layout of FaceSynthetics (Wood et al., 2021).

A flat folder of ``NNNNNN.png`` (RGB) and ``NNNNNN_seg.png`` (8-bit class ids). The landmark files
``NNNNNN_ldmks.txt`` of the real data hold 70 points in a definition of their own, and are left out.
"""

from __future__ import annotations

from pathlib import Path

from .head import sample_head
from .labels import FACE_LABELS
from .render import render
from .writing import Split, scene_rng, write_image

FACE_PATTERNS = ("[0-9]" * 6 + "*.png",)  # matches the files that write_face writes


def write_face(
    out_dir: Path, split: Split, index: int, *, seed: int, size_hw: tuple[int, int]
) -> None:
    """Writes picture and labels of one head, which depend only on seed, split, index and size.

    Raises:
        DataError: A file cannot be written.
    """
    picture = render(sample_head(scene_rng(seed, index, split)), size_hw)
    write_image(out_dir / f"{index:06d}.png", picture.image)
    write_image(out_dir / f"{index:06d}_seg.png", picture.labels(FACE_LABELS))
