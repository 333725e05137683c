"""What --input may be: an image, a folder, a pattern, or a text file of paths."""

from __future__ import annotations

import glob
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from engine.data.files import IMAGE_SUFFIXES
from engine.data.splits import read_list
from engine.errors import DataError


class InputImage(NamedTuple):
    """An image and where its results go.

    Attributes:
        path: The image file.
        out_stem: Path of its results relative to the output folder, without suffix.
    """

    path: Path
    out_stem: str


def find_images(source: str) -> list[InputImage]:
    """Lists images, sorted by path.

    Args:
        source: An image file; a folder, searched with its sub-folders; a glob pattern (``**``
            matches folders); or a ``.txt`` file with one path a line, absolute or relative to the
            file.

    Returns:
        The images. Results keep the folder structure below the folder, or below the common folder
        of a pattern or list. Two images that differ only in their suffix keep it in their results'
        name.

    Raises:
        DataError: If nothing is there.
    """
    path = Path(source)
    if path.is_dir():
        paths, root = [p for p in path.rglob("*") if _is_image(p)], path
    elif path.suffix.lower() == ".txt":
        paths = [path.parent / line for line in read_list(path)]
        root = _common_folder(paths)
    elif path.is_file():
        paths, root = [path], path.parent
    else:
        paths = [p for p in map(Path, glob.glob(source, recursive=True)) if _is_image(p)]
        root = _common_folder(paths)
    if not paths:
        raise DataError(
            f"--input {source!r}: no images found. Expected an image, a folder or pattern with "
            f"{', '.join(IMAGE_SUFFIXES)}, or a .txt file with one path a line."
        )
    paths = sorted(set(paths))
    stems = Counter(_relative(p.with_suffix(""), root) for p in paths)
    images = []
    for p in paths:
        stem = _relative(p.with_suffix(""), root)
        images.append(InputImage(p, stem if stems[stem] == 1 else _relative(p, root)))
    return images


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _common_folder(paths: list[Path]) -> Path:
    return Path(os.path.commonpath([p.absolute().parent for p in paths])) if paths else Path()


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
