"""The base of datasets that are folders: files that belong together, divided by their names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from engine.data.dataset import BaseDataset
from engine.data.files import Named, Partner, composed, pair_folders, read_list
from engine.errors import ConfigError, DataError

Split = Literal["all", "train", "val"]


class PairedDataset(BaseDataset):
    """Images and the files of their labels: those of the same path without suffix in the folders.

    Subclasses say which folders, or how else files are found and named.

    Args:
        data_root: Folder of the dataset.
        split: ``"train"`` and ``"val"`` divide the folder, ``"all"`` is the whole.
        val_ratio: Share of the samples held out for ``"val"``, chosen by a hash of their names.
        val_list: Text file with the names to hold out instead of ``val_ratio``; below
            ``data_root``, or a path of its own.
        **kwargs: See :class:`engine.data.dataset.BaseDataset`.
    """

    folders: tuple[str, ...]
    """Of the images, and of each of the partners, below ``data_root``."""
    partners: ClassVar[tuple[tuple[str, tuple[str, ...], str], ...]]
    """What belongs to an image: its key in the records, its suffixes, and what it is called."""

    def __init__(
        self,
        data_root: str = "",
        split: Split = "all",
        val_ratio: float = 0.05,
        val_list: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.split = split
        self.val_ratio = val_ratio
        self.val_list = val_list
        super().__init__(data_root=data_root, **kwargs)

    def find_records(self) -> list[Named]:
        """Returns (name, record) of all samples, sorted by name.

        Raises:
            DataError: If a folder is missing, or a file lacks its partner.
        """
        img_dir, *others = self.folders
        partners = {
            key: Partner(folder, suffixes, what)
            for folder, (key, suffixes, what) in zip(others, self.partners, strict=True)
        }
        return pair_folders(self.data_root, img_dir, partners)

    def load_data_list(self) -> list[dict]:
        """Returns the records of the split, sorted by name."""
        below_root = Path(self.data_root, self.val_list or "")
        val_list = below_root if below_root.is_file() else self.val_list or None
        return select_split(self.find_records(), self.split, self.val_ratio, val_list)


def select_split(
    records: Sequence[Named],
    split: Split,
    val_ratio: float,
    val_list: str | Path | None = None,
) -> list[dict[str, str]]:
    """Picks the records of one split; ``train`` and ``val`` share none and together are all.

    Args:
        records: (name, record) pairs; the name decides, not the position, so that the split does
            not change with the order of a listing.
        split: Which part.
        val_ratio: Share in (0, 1) held out for ``val``: the names with the smallest hashes.
        val_list: A text file of the names to hold out instead, with or without file suffix.

    Raises:
        ConfigError: If the split is unknown, or the ratio leaves a split empty.
        DataError: If the list is missing or names a file that the dataset does not have.
    """
    if split not in ("all", "train", "val"):
        raise ConfigError(f"split={split!r}: expected 'all', 'train' or 'val'.")
    if split == "all":
        return [record for _, record in records]
    names = {name for name, _ in records}
    if not names:
        return []  # an error that says so follows
    if val_list is not None:
        listed = map(composed, read_list(val_list))
        held_out = {n if n in names else str(Path(n).with_suffix("")) for n in listed}
        unknown = sorted(held_out - names)
        if unknown:
            raise DataError(
                f"{str(val_list)!r} names {len(unknown)} samples that the dataset does not have, "
                f"such as {', '.join(unknown[:3])}."
            )
    else:
        by_hash = sorted(names, key=lambda name: hashlib.sha1(os.fsencode(name)).digest())
        held_out = set(by_hash[: round(val_ratio * len(by_hash))])
    if not 0 < len(held_out) < len(names):
        raise ConfigError(
            f"split={split!r}: {len(held_out)} of {len(names)} samples would be held out "
            f"(val_ratio={val_ratio}, val_list={val_list}); both parts need at least one. "
            'Set val_ratio accordingly, or use split="all".'
        )
    return [record for name, record in records if (name in held_out) == (split == "val")]
