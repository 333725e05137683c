"""What --input may be: an image, a video, a folder, a pattern, or a text file of paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from engine.data.files import (
    IMAGE_SUFFIXES,
    PassedOver,
    as_on_disk,
    find_files,
    match_files,
    read_list,
)
from engine.errors import ConfigError, DataError, shorten
from engine.infer.collisions import real_paths
from engine.infer.images import ImageList
from engine.infer.video.reader import VIDEO_SUFFIXES


def find_images(
    source: str,
    out_dir: str | Path | None = None,
    videos: bool = False,
    what: str = "--input",
) -> ImageList:
    """Lists images, sorted by path.

    Args:
        source: An image file; a folder, searched with its sub-folders; a glob pattern (``**``
            matches folders); or a ``.txt`` file with one path a line, absolute or relative to the
            file.
        out_dir: Folder of the results; what it holds from an earlier run is no input.
        videos: Whether to list videos as well.
        what: What errors call the source.

    Returns:
        The images, named by :class:`ImageList`. Results keep the folder structure below the
        folder, or below the common folder of a pattern or list.

    Raises:
        DataError: If nothing is there.
    """
    path, suffixes = Path(source), (*IMAGE_SUFFIXES, *(VIDEO_SUFFIXES if videos else ()))
    if not source:  # a variable that is not set; Path("") is the folder where we are
        paths = []
    elif path.suffix.lower() == ".txt" and not os.path.isdir(path):
        paths = [str(Path(as_on_disk(path.parent, line))) for line in read_list(path)]
    elif os.path.isfile(path):  # unlike Path.is_file(), no error of an impossible name
        paths = [str(path)]
    else:
        is_folder = os.path.isdir(path)
        paths = _of_folder(path, suffixes) if is_folder else _of_pattern(source, suffixes)
        if out_dir is not None:
            results = os.path.join(os.path.realpath(out_dir), "")
            pairs = zip(paths, real_paths(paths), strict=True)
            inputs = [path for path, real in pairs if not real.startswith(results)]
            paths = inputs or paths  # all of them: the output folder is the input folder
    if not paths:
        raise DataError(
            f"{what} {shorten(source, 300)}: no images found{', nor videos' if videos else ''}. "
            f"Expected one, a folder or pattern with {', '.join(suffixes)}, or a .txt file with "
            "one path a line."
        )
    return ImageList(paths, str(path) if os.path.isdir(path) else None)


def check_out_dir(source: str, out_dir: Path, images: ImageList, suffixes: Iterable[str]) -> None:
    """Checks that a second run would not take results of the first for images.

    Args:
        source: As for :func:`find_images`; only folders and patterns find what is new.
        out_dir: Folder of the results.
        images: What was found.
        suffixes: Of what is written.

    Raises:
        ConfigError: If it would.
    """
    first = images[0]
    results = os.path.join(os.path.realpath(out_dir), "")
    if os.path.isfile(source) or not next(real_paths([str(first.path)])).startswith(results):
        return  # find_images leaves out what is in another folder of results
    for suffix in suffixes:
        name = f"{first.out_stem}{suffix}"
        path = os.path.join(results, name)
        if os.path.isdir(source):
            is_found = path.startswith(os.path.join(os.path.realpath(source), ""))
        else:
            is_found = fnmatch(os.path.basename(name), os.path.basename(source))
        if is_found and path.lower().endswith((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)):
            raise ConfigError(
                f"--output {str(out_dir)!r} is where --input looks: a second run would take "
                f"{name} and its like for images. Write the results to another folder, which may "
                "be one inside it."
            )


def _of_folder(folder: Path, suffixes: Sequence[str]) -> list[str]:
    return [str(folder / name) for name in find_files(folder, suffixes)]


def _of_pattern(pattern: str, suffixes: Sequence[str]) -> list[str]:
    passed_over = PassedOver(pattern)
    paths = []
    for name in match_files(pattern):
        path = Path(name)
        if path.is_dir() or path.name.startswith("."):
            continue
        if not path.is_file():
            passed_over.add("links to nothing", name)
        elif path.suffix.lower() not in suffixes:
            passed_over.add(f"files with the suffix {path.suffix}", name)
        else:
            paths.append(str(path))
    passed_over.report()
    return paths
