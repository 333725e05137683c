"""Own segmentation data by config alone."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

from seg.parts.datasets.seg_dataset import SegDataset
from seg.registry import DATASETS


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
            ``label_map``, ``pipeline``, ...: see :class:`seg.parts.datasets.SegDataset`.
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
        self.img_dir = img_dir
        self.seg_dir = seg_dir
        metainfo = {
            "classes": tuple(classes),
            "palette": tuple(map(tuple, palette or distinct_colours(len(classes)))),
            "flip_pairs": tuple(map(tuple, flip_pairs)),
        }
        super().__init__(metainfo=metainfo, **kwargs)


def distinct_colours(num: int) -> list[tuple[int, int, int]]:
    """Returns ``num`` RGB colours (0-255): black, then hues a golden angle apart."""
    hues = ((i * 0.618034) % 1 for i in range(num - 1))
    rgb = (colorsys.hsv_to_rgb(hue, 0.75, 1 - 0.25 * (i % 3)) for i, hue in enumerate(hues))
    return [(0, 0, 0)][:num] + [(round(r * 255), round(g * 255), round(b * 255)) for r, g, b in rgb]
