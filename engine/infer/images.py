"""What --input may be: an image, a folder, a pattern, or a text file of paths."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.data.files import IMAGE_SUFFIXES, read_list
from engine.errors import ConfigError, DataError


class InputImage(NamedTuple):
    """An image and where its results go.

    Attributes:
        path: The image file.
        out_stem: Path of its results relative to the output folder, without suffix.
    """

    path: Path
    out_stem: str


def find_images(source: str, out_dir: str | Path | None = None) -> list[InputImage]:
    """Lists images, sorted by path.

    Args:
        source: An image file; a folder, searched with its sub-folders; a glob pattern (``**``
            matches folders); or a ``.txt`` file with one path a line, absolute or relative to the
            file.

        out_dir: Folder of the results; what it holds from an earlier run is no input.

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
    if out_dir is not None and path.suffix.lower() != ".txt" and not path.is_file():
        results = Path(out_dir).resolve()
        inputs = [p for p in paths if not p.resolve().is_relative_to(results)]
        paths = inputs or paths  # all of them: the output folder is the input folder
    paths = sorted(set(paths))
    stems = [_relative(p.with_suffix(""), root) for p in paths]
    counts = Counter(stems)
    return [
        InputImage(p, stem if counts[stem] == 1 else _relative(p, root))
        for p, stem in zip(paths, stems, strict=True)
    ]


def check_results(images: Sequence[InputImage], out_dir: Path, suffixes: Sequence[str]) -> None:
    """Checks that no result would replace an image or another result.

    Args:
        images: The inputs.
        out_dir: Folder of the results.
        suffixes: What is written for an image, such as ``("_seg.npy", ".npy", ".png")``.

    Raises:
        ConfigError: If one would.
    """
    sources = {image.path.resolve() for image in images}
    writers: dict[str, InputImage] = {}
    for image in images:
        for suffix in suffixes:
            target = f"{image.out_stem}{suffix}"
            if (out_dir / target).resolve() in sources:
                raise ConfigError(
                    f"--output {str(out_dir)!r}: {out_dir / target} is an input image and would be "
                    "overwritten; choose another folder."
                )
            if target in writers:
                raise ConfigError(
                    f"{image.path} and {writers[target].path} would both write {target}; give "
                    "them to separate runs, or rename one."
                )
            writers[target] = image


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith(".")  # such as the ._a.jpg that macOS leaves
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not hidden


def _common_folder(paths: list[Path]) -> Path:
    return Path(os.path.commonpath([p.absolute().parent for p in paths])) if paths else Path()


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
