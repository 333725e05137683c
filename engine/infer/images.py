"""An image and where its results go, and a million of them in little memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, overload

from numpy.typing import NDArray

from engine.data.loading import read_image
from engine.infer.video.reader import Frame


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


class ImageList(Sequence[InputImage]):
    """Files in their order, of which only paths are held; the rest is made when it is asked for.

    Results are named after the files, with the folders below ``root``. Two that differ only in
    their suffix keep it in their results' name.

    Args:
        paths: Of the files, in any order; of those that are given twice one is kept.
        root: Folder that all of them are in; by default the innermost.
    """

    def __init__(self, paths: Iterable[str], root: str | None = None) -> None:
        # Parts compare one by one: a folder's files come before those of names that it begins.
        self._paths = sorted(set(paths), key=lambda path: path.replace(os.sep, "\0"))
        folders = {os.path.dirname(os.path.abspath(path)) for path in self._paths}
        self._root = os.path.abspath(root) if root else os.path.commonpath(folders)
        counts = Counter(self._short_stem(path) for path in self._paths)
        self._ambiguous = {stem for stem, count in counts.items() if count > 1}

    def _name(self, path: str) -> str:
        return os.path.abspath(path)[len(self._root) :].lstrip(os.sep)

    def _short_stem(self, path: str) -> str:
        return os.path.splitext(self._name(path))[0]

    def _stem(self, path: str) -> str:
        stem = self._short_stem(path)
        return (self._name(path) if stem in self._ambiguous else stem).replace(os.sep, "/")

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> InputImage: ...
    @overload
    def __getitem__(self, index: slice) -> ImageList: ...
    def __getitem__(self, index: int | slice) -> InputImage | ImageList:
        if isinstance(index, slice):
            return self._of(self._paths[index])
        path = self._paths[index]
        return InputImage(Path(path), self._stem(path))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: ImageList) -> ImageList:
        """Those of two parts of one list."""
        return self._of([*self._paths, *other._paths])

    def where(self, chosen: Iterable[bool]) -> ImageList:
        """Returns those for which ``chosen`` is true; their results keep their names."""
        return self._of([p for p, is_chosen in zip(self._paths, chosen, strict=True) if is_chosen])

    def _of(self, paths: list[str]) -> ImageList:
        some = object.__new__(ImageList)
        some.__dict__.update({**self.__dict__, "_paths": paths})
        return some
