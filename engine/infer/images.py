"""What --input may be: an image, a video, a folder, a pattern, or a text file of paths."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from numpy.typing import NDArray

from engine.data.files import (
    IMAGE_SUFFIXES,
    PassedOver,
    as_on_disk,
    find_files,
    match_files,
    read_list,
)
from engine.data.loading import read_image
from engine.errors import ConfigError, DataError
from engine.infer.video.reader import VIDEO_SUFFIXES, Frame, is_video


class InputImage(NamedTuple):
    """An image, or a video, and where its results go.

    Attributes:
        path: The file.
        out_stem: Path of its results relative to the output folder, without suffix.
        pixels: (H, W, 3) uint8 BGR, if it is not a file.
        number: Of a frame of a video, from 0.
        time_s: Of a frame of a video, seconds from the first one.
    """

    path: Path
    out_stem: str
    pixels: NDArray | None = None
    number: int | None = None
    time_s: float | None = None

    @property
    def name(self) -> str:
        """Path of the image relative to the input; of a frame, ``folder/clip.mp4#7``."""
        stem = Path(self.out_stem)
        return (stem if self.number is None else stem.parent).with_name(self.path.name).as_posix()

    def frame(self, frame: Frame) -> InputImage:
        """Returns a frame of this video as an image."""
        path, stem = Path(f"{self.path}#{frame.number}"), f"{self.out_stem}/{frame.number:06}"
        return InputImage(path, stem, frame.pixels, frame.number, frame.time_s)

    def read(self) -> NDArray:
        """Returns its pixels (H, W, 3) uint8 BGR.

        Raises:
            DataError: If the file cannot be read.
        """
        return read_image(self.path) if self.pixels is None else self.pixels


def find_images(
    source: str, out_dir: str | Path | None = None, videos: bool = False
) -> list[InputImage]:
    """Lists images, sorted by path.

    Args:
        source: An image file; a folder, searched with its sub-folders; a glob pattern (``**``
            matches folders); or a ``.txt`` file with one path a line, absolute or relative to the
            file.
        out_dir: Folder of the results; what it holds from an earlier run is no input.
        videos: Whether to list videos as well.

    Returns:
        The images, named by :func:`name_results`. Results keep the folder structure below the
        folder, or below the common folder of a pattern or list.

    Raises:
        DataError: If nothing is there.
    """
    path, suffixes = Path(source), (*IMAGE_SUFFIXES, *(VIDEO_SUFFIXES if videos else ()))
    if path.suffix.lower() == ".txt" and not path.is_dir():
        paths = [Path(as_on_disk(path.parent, line)) for line in read_list(path)]
    elif path.is_file():
        paths = [path]
    else:
        is_folder = path.is_dir()
        paths = _of_folder(path, suffixes) if is_folder else _of_pattern(source, suffixes)
        if out_dir is not None:
            results = Path(out_dir).resolve()
            inputs = [p for p in paths if not p.resolve().is_relative_to(results)]
            paths = inputs or paths  # all of them: the output folder is the input folder
    if not paths:
        raise DataError(
            f"--input {source!r}: no images found{', nor videos' if videos else ''}. Expected one, "
            f"a folder or pattern with {', '.join(suffixes)}, or a .txt file with one path a "
            "line."
        )
    return name_results(paths, path if path.is_dir() else None)


def _of_folder(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return [folder / name for name in find_files(folder, suffixes)]


def _of_pattern(pattern: str, suffixes: Sequence[str]) -> list[Path]:
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
            paths.append(path)
    passed_over.report()
    return paths


def name_results(paths: Iterable[Path], root: Path | None = None) -> list[InputImage]:
    """Names the results of images after them, with the folders below ``root``; sorted by path.

    Without ``root`` it is the folder that all images share. Two images that differ only in their
    suffix keep it in their results' name.
    """
    paths = sorted(set(paths))
    root = root or Path(os.path.commonpath([path.absolute().parent for path in paths]))
    names = [Path(os.path.relpath(path, root)) for path in paths]
    counts = Counter(name.with_suffix("") for name in names)
    stems = [n.with_suffix("") if counts[n.with_suffix("")] == 1 else n for n in names]
    return [InputImage(path, s.as_posix()) for path, s in zip(paths, stems, strict=True)]


def check_results(
    images: Sequence[InputImage],
    out_dir: Path,
    suffixes: Sequence[str],
    others: Iterable[str] = (),
    common: Iterable[str] = (),
    of_videos: Sequence[str] = (),
) -> None:
    """Checks that no result would replace an image, another result or another file.

    Args:
        images: The inputs.
        out_dir: Folder of the results.
        suffixes: What is written for an image, such as ``("_seg.npy", ".npy", ".png")``.
        others: Files besides the images that must stay.
        common: Names of the files that are written once for all images.
        of_videos: What is written for a video; ``"/"`` is a folder of its name.

    Raises:
        ConfigError: If one would.
    """
    sources = {path.resolve() for path in (*map(Path, others), *(i.path for i in images))}
    common = set(common)
    writers: dict[str, InputImage] = {}
    for name in common:
        if (out_dir / name).resolve() in sources:
            raise ConfigError(_overwritten(out_dir / name))
    for image in images:
        for suffix in of_videos if is_video(image.path) else suffixes:
            target = f"{image.out_stem}{suffix}"
            if (out_dir / target).resolve() in sources:
                raise ConfigError(_overwritten(out_dir / target))
            if target in common:
                raise ConfigError(
                    f"{image.path}: its result {target} has the name of a file of all results; "
                    "rename the image."
                )
            if target in writers:
                raise ConfigError(
                    f"{image.path} and {writers[target].path} would both write {target}; give "
                    "them to separate runs, or rename one."
                )
            writers[target] = image
    for target, image in writers.items() if "/" in of_videos else ():
        for folder in PurePosixPath(target.rstrip("/")).parents:
            if (video := writers.get(f"{folder}/")) is not None:
                raise ConfigError(
                    f"{image.path} and {video.path} would both write into {folder}/; give them to "
                    "separate runs, or rename one."
                )


def _overwritten(path: Path) -> str:
    return (
        f"{path} is a file of the input and would be overwritten; write the results to another "
        "folder."
    )
