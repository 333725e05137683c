"""Writes whole datasets of synthetic people, in parallel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engine.errors import DataError
from mmsapiens.processes import map_in_processes

from .layouts import Layout, Split
from .render import render


def write_split(
    layout: Layout, out_dir: Path, split: Split, num: int, workers: int = 1, **options: Any
) -> Iterator[int]:
    """Writes the pictures and labels of a split.

    Args:
        layout: How.
        out_dir: The folder of all splits.
        split: Which one.
        num: Number of pictures.
        workers: Number of processes.
        **options: Of each picture: ``size_hw``, ``seed`` and, but for faces, ``variety``.

    Yields:
        The number of pictures done, after each one.

    Raises:
        DataError: A file cannot be written.
    """
    write = partial(_write_picture, layout, out_dir, split, **options)
    run = map if workers == 1 else partial(map_in_processes, num_processes=workers)
    results: list[Any] = []
    for result in run(write, range(num)):
        results.append(result)
        yield len(results)
    if layout.annotations:
        path = out_dir / layout.annotations.path.format(split=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(layout.annotations.of_split(results)), encoding="utf-8")


def _write_picture(
    layout: Layout,
    out_dir: Path,
    split: Split,
    index: int,
    *,
    seed: int,
    size_hw: tuple[int, int],
    variety: float = 1.0,
) -> dict[str, Any] | None:
    """Writes one picture, which depends only on the arguments; returns what it is annotated with.

    Its generator is one that no other picture of the same seed shares.
    """
    rng = np.random.default_rng([seed, index] if split == "train" else [seed, index, 1])
    picture = render(layout.draw(rng, variety), size_hw)
    name = f"{index + 1:012d}" if layout.annotations else f"{index:06d}"
    for path, values_of in layout.files.items():
        file = out_dir / path.format(split=layout.splits[split], name=name)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".npy":
            np.save(file, values_of(picture))
        elif not cv2.imwrite(str(file), values_of(picture)):
            raise DataError(f"{file}: cannot be written. Check the folder's rights and free space.")
    if not layout.annotations:
        return None
    return layout.annotations.of_picture(picture, index + 1, f"{split}/{name}.jpg")


def prepare(out_dir: Path, patterns: Sequence[str], overwrite: bool) -> None:
    """Makes a folder without files.

    Raises:
        DataError: It holds files, and ``overwrite`` is not set or they are not of the layout.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for pattern in patterns:
            for path in out_dir.glob(pattern):
                path.unlink()
    files = (path for path in out_dir.rglob("*") if path.is_file())
    left = sorted(str(path.relative_to(out_dir)) for path in files)
    if left:
        fix = "Remove the other files" if overwrite else "Pass --overwrite"
        raise DataError(
            f"{out_dir} is not empty: it holds {left[:3]}. {fix}, or name a new folder."
        )
