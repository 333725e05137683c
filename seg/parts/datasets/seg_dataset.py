"""Images with a label map each: the base of such datasets, and own data by config alone."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from engine.data.colours import parse_color_map
from engine.data.dataset import Metainfo
from engine.data.mirror import index_flip_pairs
from engine.errors import ConfigError
from seg.paired import PairedDataset
from seg.parts.datasets.first_labels import warn_of_one_class
from seg.registry import DATASETS


class SegDataset(PairedDataset):
    """Images with one 8-bit label map each. Subclasses say in which folders the two are.

    METAINFO holds ``classes`` (names in the order of their ids), ``palette`` (RGB a class) and
    ``flip_pairs`` (pairs of names that a mirror exchanges); they are checked when the dataset is
    made.

    Args:
        label_map: Raw id -> class id for files with other ids; ids not listed stay as they are.
        color_map: (r, g, b) -> class id for files that tell classes by colours; other colours are
            errors. A ``label_map`` comes after it.
        metainfo: Overrides of METAINFO.
        **kwargs: ``data_root``, ``split``, ``val_ratio``, ``val_list``, ...: see
            :class:`seg.paired.PairedDataset`.
    """

    partners: ClassVar = (("seg_map_path", (".png",), "label map"),)

    def __init__(
        self,
        label_map: Mapping[int, int] | None = None,
        color_map: Mapping[Any, int] | None = None,
        metainfo: Annotated[dict | None, Metainfo] = None,
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
        options: dict[str, Any] = {}
        if label_map is not None:
            options["label_map"] = label_map
        if color_map:
            options["color_map"] = parse_color_map(color_map)
        self.file_options = options
        super().__init__(metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Returns the records of the split, sorted by name, after a look at some labels."""
        records = super().load_data_list()
        warn_of_one_class(records, self.file_options, self.metainfo)
        return records


@DATASETS.register_module()
class SegFolderDataset(SegDataset):
    """A folder of images and a folder of label maps, paired by relative path without suffix.

    Args:
        img_dir: Folder of the images (jpg, jpeg, png, bmp, webp, tif, tiff), below ``data_root``.
        seg_dir: Folder of the label maps (png; grey or palette, 255 = ignored), below
            ``data_root``.
        classes: Names in the order of their ids, the background included.
        palette: RGB (0-255) a class; distinct colours are chosen if absent.
        flip_pairs: Pairs of class names that a mirror exchanges, e.g. ``[("Left_arm",
            "Right_arm")]``.
        **kwargs: ``data_root``, ``split`` ("train", "val" or "all"), ``val_ratio``, ``val_list``,
            ``label_map``, ``color_map``, ``pipeline``, ...: see
            :class:`seg.parts.datasets.SegDataset`.
    """

    def __init__(
        self,
        img_dir: str,
        seg_dir: str,
        classes: Sequence[str],
        palette: Sequence[Sequence[int]] | None = None,
        flip_pairs: Sequence[tuple[str, str]] = (),
        **kwargs: Any,
    ) -> None:
        self.folders = (img_dir, seg_dir)
        metainfo = {
            "classes": tuple(classes),
            "palette": tuple(map(tuple, palette or distinct_colours(len(classes)))),
            "flip_pairs": tuple(map(tuple, flip_pairs)),
            **(kwargs.pop("metainfo", None) or {}),  # such as ignore_index
        }
        super().__init__(metainfo=metainfo, **kwargs)


def distinct_colours(num: int) -> list[tuple[int, int, int]]:
    """Returns ``num`` RGB colours (0-255): black, then hues a golden angle apart."""
    hues = ((i * 0.618034) % 1 for i in range(num - 1))
    rgb = (colorsys.hsv_to_rgb(hue, 0.75, 1 - 0.25 * (i % 3)) for i, hue in enumerate(hues))
    return [(0, 0, 0)][:num] + [(round(r * 255), round(g * 255), round(b * 255)) for r, g, b in rgb]
