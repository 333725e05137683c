"""Image files, found in a folder or named by a list."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from engine.data.dataset import BaseDataset
from engine.data.files import IMAGE_SUFFIXES, read_list
from engine.errors import DataError
from pretrain.registry import DATASETS


@DATASETS.register_module()
class ImageListDataset(BaseDataset):
    """All images below a folder, or those of a list, in the order of their paths.

    Args:
        data_root: The folder; its subfolders count, whatever their depth.
        list_file: A text file with one path a line, relative to ``data_root``, in place of a search
            of the folder. Empty lines and lines that start with ``#`` are skipped.
        exclude: Patterns such as ``"*_seg.png"`` or ``"val/*"`` of paths (relative to
            ``data_root``) to leave out of the search.
        on_corrupt: By default a corrupt image is skipped and counted. For this and the rest, see
            :class:`engine.data.dataset.BaseDataset`.
        **kwargs: ``pipeline``, ``indices``, ...
    """

    def __init__(
        self,
        data_root: str = "",
        *,
        list_file: str | None = None,
        exclude: Sequence[str] = (),
        on_corrupt: Literal["raise", "skip"] = "skip",
        **kwargs: Any,
    ) -> None:
        self.list_file = list_file
        self.exclude = tuple(exclude)
        super().__init__(data_root=data_root, on_corrupt=on_corrupt, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Returns one record an image.

        Raises:
            DataError: If there is no image, or the list names files that do not exist.
        """
        if self.list_file is None:
            names = sorted(self._search())
            where = f"no image ({', '.join(IMAGE_SUFFIXES)}) below {str(self.data_root)!r}"
        else:
            names = sorted(read_list(self.list_file))
            where = f"the list {self.list_file!r} is empty"
        if not names:
            raise DataError(f"ImageListDataset: {where}.")
        paths = [os.path.join(self.data_root, name) for name in names]
        if self.list_file is not None:
            _check_existence(paths, self.list_file)
        return [{"img_path": path} for path in paths]

    def _search(self) -> Iterator[str]:
        """Yields the paths of the images relative to the root."""
        # os.walk, as pathlib takes several times as long in a tree of millions of files.
        for folder, _, names in os.walk(self.data_root, followlinks=True):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.data_root)
                is_image = name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
                if is_image and not any(fnmatch(path, pattern) for pattern in self.exclude):
                    yield path


def _check_existence(paths: Sequence[str], list_file: str) -> None:
    """Requires that all files are there; reads each folder once, as a look a file is slow."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_folder[os.path.dirname(path)].append(path)
    missing: list[str] = []
    for folder, members in by_folder.items():
        present = set(_listdir(folder))
        missing.extend(path for path in members if os.path.basename(path) not in present)
    if missing:
        raise DataError(
            f"ImageListDataset: {len(missing)} of {len(paths)} files of the list {list_file!r} do "
            f"not exist, such as {', '.join(missing[:3])}. Paths are relative to data_root: "
            "correct it or the list, or fetch the missing files."
        )


def _listdir(folder: str) -> Iterable[str]:
    return os.listdir(folder or ".") if Path(folder).is_dir() else ()
