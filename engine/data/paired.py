"""The base of datasets that are folders: files that belong together, divided by their names."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from engine.data.dataset import BaseDataset
from engine.data.files import Named
from engine.data.splits import Split, below_root, select_split


class PairedDataset(BaseDataset):
    """Images and the files of their labels. Subclasses say how these are found and named.

    Args:
        data_root: Folder of the dataset.
        split: ``"train"`` and ``"val"`` divide the folder, ``"all"`` is the whole.
        val_ratio: Share of the samples held out for ``"val"``, chosen by a hash of their names.
        val_list: Text file with the names to hold out instead of ``val_ratio``; below
            ``data_root``, or a path of its own.
        **kwargs: See :class:`engine.data.dataset.BaseDataset`.
    """

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

    @abstractmethod
    def find_records(self) -> list[Named]:
        """Returns (name, record) of all samples, sorted by name.

        Raises:
            DataError: If a folder is missing, or a file lacks its partner.
        """

    def load_data_list(self) -> list[dict]:
        """Returns the records of the split, sorted by name."""
        val_list = below_root(self.val_list, self.data_root)
        return select_split(self.find_records(), self.split, self.val_ratio, val_list)
