"""The base of datasets that give an image a mask and a map of the surface inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from engine.data.dataset import BaseDataset
from engine.data.files import list_by_stem, pair_by_stem
from engine.data.splits import Split, below_root, select_split

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
MASK_SUFFIXES = (".png", ".npy")


class MaskedDataset(BaseDataset):
    """Three folders below ``data_root``, whose files belong together by path without suffix.

    Images are jpg, jpeg or png; masks png or npy, not zero on the person.

    Args:
        data_root: Folder of the dataset.
        split: ``"train"`` and ``"val"`` divide the folder, ``"all"`` is the whole.
        val_ratio: Share of the samples held out for ``"val"``, chosen by a hash of their names.
        val_list: Text file with the names to hold out instead of ``val_ratio``, below ``data_root``
            or of its own.
        **kwargs: See :class:`engine.data.dataset.BaseDataset`.

    Raises:
        DataError: If a folder is missing, or a file lacks its partner.
    """

    folders: ClassVar[tuple[str, str, str]]
    """Of the images, the masks and the maps."""
    map_name: ClassVar[str]
    """Records hold the path of a map as ``<map_name>_path``."""
    map_suffixes: ClassVar[tuple[str, ...]]

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

    def load_data_list(self) -> list[dict]:
        """Returns the records of the split, sorted by name."""
        img_dir, mask_dir, map_dir = (Path(self.data_root, folder) for folder in self.folders)
        images = list_by_stem(img_dir, IMAGE_SUFFIXES)
        masks = list_by_stem(mask_dir, MASK_SUFFIXES)
        maps = list_by_stem(map_dir, self.map_suffixes)
        pair_by_stem(images, masks, img_dir, mask_dir, "mask")
        paired = pair_by_stem(images, maps, img_dir, map_dir, self.map_name)
        records = [
            (
                name,
                {
                    "img_path": img_path,
                    "mask_path": str(masks[name]),
                    f"{self.map_name}_path": map_path,
                },
            )
            for name, img_path, map_path in paired
            if name in masks  # unless mmsapiens check leaves it out, with a fault
        ]
        val_list = below_root(self.val_list, self.data_root)
        return select_split(records, self.split, self.val_ratio, val_list)
