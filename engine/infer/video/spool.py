"""A list that is kept on the disk."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Generic, TypeVar

T = TypeVar("T")


class Spool(Generic[T]):
    """Items of one process, in a file without a name, which vanishes with it.

    It may be gone through several times.

    Args:
        folder: Whose disk holds the file; it is made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - see __exit__
        self._num = 0

    def __enter__(self) -> Spool[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, item: T) -> None:
        """Appends an item; not while another goes through them."""
        pickle.dump(item, self._file)
        self._num += 1

    def __iter__(self) -> Iterator[T]:
        place = 0
        for _ in range(self._num):
            self._file.seek(place)
            item = pickle.load(self._file)
            place = self._file.tell()
            yield item
