"""The base of datasets that pair an image with a label map."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from engine.data.dataset import BaseDataset
from engine.data.mirror import index_flip_pairs
from engine.data.splits import Split, below_root, select_split
from engine.errors import ConfigError


class SegDataset(BaseDataset):
    """Images with one 8-bit label map each. Subclasses say how the two are found and named.

    METAINFO holds ``classes`` (names in the order of their ids), ``palette`` (RGB a class) and
    ``flip_pairs`` (pairs of names that a mirror exchanges); they are checked when the dataset is
    made.

    Args:
        data_root: Folder of the dataset.
        split: ``"train"`` and ``"val"`` divide the folder, ``"all"`` is the whole.
        val_ratio: Share of the samples held out for ``"val"``, chosen by a hash of their names.
        val_list: Text file with the names to hold out instead of ``val_ratio``; below
            ``data_root``, or a path of its own.
        label_map: Raw id -> class id for files with other ids; ids not listed stay as they are.
        **kwargs: See :class:`engine.data.dataset.BaseDataset`.
    """

    def __init__(
        self,
        data_root: str = "",
        split: Split = "all",
        val_ratio: float = 0.05,
        val_list: str | None = None,
        label_map: dict[int, int] | None = None,
        metainfo: dict | None = None,
        **kwargs: Any,
    ) -> None:
        self.split = split
        self.val_ratio = val_ratio
        self.val_list = val_list
        metainfo = {**self.METAINFO, **(metainfo or {})}
        name = type(self).__name__
        classes, palette = metainfo["classes"], metainfo["palette"]
        if len(palette) != len(classes):
            raise ConfigError(
                f"{name}: {len(classes)} classes but {len(palette)} colours in the palette."
            )
        index_flip_pairs(classes, metainfo["flip_pairs"], name)  # a wrong pair fails here
        if label_map is not None:
            self.file_options = {"label_map": label_map}
        super().__init__(data_root=data_root, metainfo=metainfo, **kwargs)

    @abstractmethod
    def find_pairs(self) -> list[tuple[str, str, str]]:
        """Returns (name, image path, label path) of all samples, sorted by name."""

    def load_data_list(self) -> list[dict]:
        """Returns the records of the split."""
        records = [
            (name, {"img_path": img_path, "seg_map_path": seg_map_path})
            for name, img_path, seg_map_path in self.find_pairs()
        ]
        val_list = below_root(self.val_list, self.data_root)
        return select_split(records, self.split, self.val_ratio, val_list)
