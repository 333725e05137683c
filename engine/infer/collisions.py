"""That no result takes the place of another, or of a file that must stay."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, product
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from engine.errors import ConfigError
from engine.infer.images import InputImage
from engine.infer.video.reader import is_video


class _Kind(NamedTuple):
    """Images, or videos: stems of their results, and what is appended to them."""

    stems: set[str]
    suffixes: Sequence[str]


def check_results(
    images: Sequence[InputImage],
    out_dir: Path,
    suffixes: Sequence[str],
    others: Iterable[str] = (),
    common: Sequence[str] = (),
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
    kinds = _Kind(set(), suffixes), _Kind(set(), of_videos)
    for image in images:
        stems = kinds[is_video(image.path)].stems
        if image.out_stem in stems:
            raise ConfigError(_both(images, image.out_stem, image.out_stem, image.out_stem))
        stems.add(image.out_stem)
    for stem, other, what in chain(_same_files(*kinds), _within_folders(*kinds)):
        raise ConfigError(_both(images, stem, other, what))
    for name, kind in product(common, kinds):
        for suffix in filter(name.endswith, kind.suffixes):
            if (stem := name.removesuffix(suffix)) in kind.stems:
                raise ConfigError(
                    f"{_paths(images, stem)[0]}: its result {name} has the name of a file of all "
                    "results; rename the image."
                )
    _check_sources(out_dir, kinds, common, chain(others, (str(i.path) for i in images)))


def _same_files(images: _Kind, videos: _Kind) -> Iterator[tuple[str, str, str]]:
    """Yields stems that lead to one file, such as "a" + "_seg.npy" and "a_seg" + ".npy"."""
    for ours, theirs in product((images, videos), repeat=2):
        for end, other in product(ours.suffixes, theirs.suffixes):
            if end.endswith(other) and (end != other or ours is not theirs):
                more = end.removesuffix(other)
                yield from ((s, s + more, s + end) for s in ours.stems if s + more in theirs.stems)


def _within_folders(images: _Kind, videos: _Kind) -> Iterator[tuple[str, str, str]]:
    """Yields what would be written into the folder of a video's frames."""
    if "/" in videos.suffixes:
        for stem in chain(images.stems, videos.stems):
            for folder in map(str, PurePosixPath(stem).parents):
                if folder in videos.stems:
                    yield stem, folder, f"into {folder}/"


def _paths(images: Sequence[InputImage], stem: str) -> list[Path]:
    return [image.path for image in images if image.out_stem == stem]


def _both(images: Sequence[InputImage], stem: str, other: str, what: str) -> str:
    """Says it of the inputs with these stems, which may be one."""
    found = dict.fromkeys(_paths(images, stem) + _paths(images, other))
    names = " and ".join(map(str, found))
    return f"{names} would both write {what}; give them to separate runs, or rename one."


def _check_sources(
    out_dir: Path, kinds: Sequence[_Kind], common: Iterable[str], sources: Iterable[str]
) -> None:
    """Checks that no result is a source, however their folders are linked."""
    stems = chain.from_iterable(kind.stems for kind in kinds)
    folders = {"", *map(os.path.dirname, stems)}
    real = {folder: os.path.realpath(os.path.join(out_dir, folder)) for folder in folders}
    places = set(real.values())
    beside = {path for path in real_paths(sources) if os.path.dirname(path) in places}
    ends = (product(kind.stems, kind.suffixes) for kind in kinds)
    for result in chain(common, map("".join, chain.from_iterable(ends))) if beside else ():
        folder, name = os.path.split(result)
        if os.path.join(real[folder], name) in beside:
            raise ConfigError(
                f"{out_dir / result} is a file of the input and would be overwritten; write the "
                "results to another folder."
            )


def real_paths(paths: Iterable[str]) -> Iterator[str]:
    """Does ``os.path.realpath``, with one look at each folder, as there may be a million files."""
    folders: dict[str, str] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder or ".")
        full = os.path.join(folders[folder], name)
        yield os.path.realpath(full) if os.path.islink(full) else full
