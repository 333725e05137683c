"""The base of datasets that pair an image with a label map."""

from __future__ import annotations

from typing import Any

from engine.data.files import Named, Partner, pair_folders
from engine.data.mirror import index_flip_pairs
from engine.errors import ConfigError
from seg.paired import PairedDataset


class SegDataset(PairedDataset):
    """Images with one 8-bit label map each. Subclasses say in which folders the two are.

    METAINFO holds ``classes`` (names in the order of their ids), ``palette`` (RGB a class) and
    ``flip_pairs`` (pairs of names that a mirror exchanges); they are checked when the dataset is
    made.

    Args:
        label_map: Raw id -> class id for files with other ids; ids not listed stay as they are.
        metainfo: Overrides of METAINFO.
        **kwargs: ``data_root``, ``split``, ``val_ratio``, ``val_list``, ...: see
            :class:`seg.paired.PairedDataset`.
    """

    img_dir: str
    """Folder of the images, below ``data_root``."""
    seg_dir: str
    """Folder of the label maps, likewise."""

    def __init__(
        self,
        label_map: dict[int, int] | None = None,
        metainfo: dict | None = None,
        **kwargs: Any,
    ) -> None:
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
        super().__init__(metainfo=metainfo, **kwargs)

    def find_records(self) -> list[Named]:
        """See base class: files of the same path in ``img_dir`` and ``seg_dir``."""
        label_maps = Partner(self.seg_dir, (".png",), "label map")
        return pair_folders(self.data_root, self.img_dir, {"seg_map_path": label_maps})
