"""Writes synthetic people with depth or normals: images/*.png, masks/*.png and one of

* ``depths/*.npy``: (H, W) float32, in heights of a head / 2.3 from the camera's plane, larger is
  farther; 0 outside the mask.
* ``normals/*.npy``: (H, W, 3) float32, unit vectors X, Y, Z with x to the right, y down and z away
  from the camera, so that surfaces that are seen have Z <= 0; 0 outside the mask.

Masks are 255 on the person and 0 elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from .body import sample_person
from .render import render
from .writing import Split, scene_rng, write_image

Geometry = Literal["depths", "normals"]


def geometry_patterns(what: Geometry) -> tuple[str, ...]:
    """Match the files that :func:`write_geometry` writes."""
    folders = {"images": ".png", "masks": ".png", what: ".npy"}
    return tuple(f"{folder}/{'[0-9]' * 6}{suffix}" for folder, suffix in folders.items())


def write_geometry(
    out_dir: Path,
    split: Split,
    index: int,
    *,
    what: Geometry,
    seed: int,
    size_hw: tuple[int, int],
    variety: float = 1.0,
) -> None:
    """Writes one scene, which depends only on the arguments.

    Raises:
        DataError: A file cannot be written.
    """
    picture = render(sample_person(scene_rng(seed, index, split), variety), size_hw)
    seen = picture.person > 0
    values = picture.normal if what == "normals" else np.where(seen, picture.depth, np.float32(0))
    write_image(out_dir / "images" / f"{index:06d}.png", picture.image)
    write_image(out_dir / "masks" / f"{index:06d}.png", seen.astype(np.uint8) * 255)
    (out_dir / what).mkdir(parents=True, exist_ok=True)
    np.save(out_dir / what / f"{index:06d}.npy", values)
