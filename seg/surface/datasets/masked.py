"""The base of datasets that give an image a mask and a map of the surface inside it."""

from __future__ import annotations

from typing import ClassVar

from engine.data.files import MASK_SUFFIXES, Named, Partner, pair_folders
from seg.paired import PairedDataset


class MaskedDataset(PairedDataset):
    """Three folders below ``data_root``, whose files belong together by path without suffix.

    Masks are png or npy, not zero on the person.

    Args:
        **kwargs: ``data_root``, ``split``, ``val_ratio``, ``val_list``, ...: see
            :class:`seg.paired.PairedDataset`.
    """

    folders: ClassVar[tuple[str, str, str]]
    """Of the images, the masks and the maps."""
    map_name: ClassVar[str]
    """Records hold the path of a map as ``<map_name>_path``."""
    map_suffixes: ClassVar[tuple[str, ...]]

    def find_records(self) -> list[Named]:
        """See base class."""
        img_dir, mask_dir, map_dir = self.folders
        partners = {
            "mask_path": Partner(mask_dir, MASK_SUFFIXES, "mask"),
            f"{self.map_name}_path": Partner(map_dir, self.map_suffixes, self.map_name),
        }
        return pair_folders(self.data_root, img_dir, partners)
