"""Images without labels: files, or members of tar archives."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from engine.data.dataset import BaseDataset
from engine.data.files import (
    IMAGE_SUFFIXES,
    as_on_disk,
    find_files,
    match_files,
    missing_files,
    read_list,
)
from engine.errors import DataError
from pretrain.archives import list_images
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
            names = self._search()
            where = f"no image ({', '.join(IMAGE_SUFFIXES)}) below {str(self.data_root)!r}"
        else:
            names = sorted(read_list(self.list_file))
            where = f"the list {self.list_file!r} is empty"
        if not names:
            raise DataError(f"ImageListDataset: {where}.")
        paths = [os.path.join(self.data_root, name) for name in names]
        if self.list_file is not None:
            gone = set(missing_files(paths))
            paths = [
                as_on_disk(self.data_root, name) if path in gone else path
                for path, name in zip(paths, names, strict=True)
            ]
            self._require(missing_files(paths), len(paths))
        return [{"img_path": path} for path in paths]

    def _require(self, missing: Sequence[str], num: int) -> None:
        if missing:
            raise DataError(
                f"ImageListDataset: {len(missing)} of {num} files of the list "
                f"{self.list_file!r} do not exist, such as {', '.join(missing[:3])}. Paths are "
                "relative to data_root: correct it or the list, or fetch the missing files."
            )

    def _search(self) -> list[str]:
        """Returns the paths of the images relative to the root."""
        names = find_files(self.data_root, IMAGE_SUFFIXES)
        return [n for n in names if not any(fnmatch(n, pattern) for pattern in self.exclude)]


@DATASETS.register_module()
class TarImageDataset(BaseDataset):
    """The images in uncompressed tar archives, as WebDataset and img2dataset write them.

    The archives' headers are read once, half a minute a million members; then an image is one read
    at a known offset. So samples are shuffled over all archives, dealt out without overlap, and
    resumed exactly, as files are. Other members (captions, labels) are left alone.

    Args:
        data_root: Folder of the archives.
        shards: Pattern of their paths below it.
        on_corrupt: By default a corrupt image is skipped and counted. For this and the rest, see
            :class:`engine.data.dataset.BaseDataset`.
        **kwargs: ``pipeline``, ``indices``, ...
    """

    def __init__(
        self,
        data_root: str,
        *,
        shards: str = "**/*.tar",
        on_corrupt: Literal["raise", "skip"] = "skip",
        **kwargs: Any,
    ) -> None:
        self.shards = shards
        super().__init__(data_root=data_root, on_corrupt=on_corrupt, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Returns one record an image, in the order of the archives' paths, then of their members.

        Raises:
            DataError: If there is no archive, one cannot be read, or there is no image in them.
        """
        pattern = os.path.join(glob.escape(str(self.data_root)), self.shards)
        shards = [Path(name) for name in match_files(pattern)]
        where = f"{self.shards!r} in {str(self.data_root)!r}"
        if not shards:
            raise DataError(f"TarImageDataset: no archive matches {where}.")
        records = [record for shard in shards for record in list_images(shard)]
        if not records:
            suffixes = ", ".join(IMAGE_SUFFIXES)
            raise DataError(
                f"TarImageDataset: the {len(shards)} archives {where} hold no image ({suffixes})."
            )
        return records
