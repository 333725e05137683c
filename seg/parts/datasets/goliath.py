"""Goliath: 28 body parts and pieces of clothing, the classes of the released models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from engine.data.decoding import read_json
from engine.data.files import Named, as_on_disk, composed
from engine.errors import ConfigError, DataError
from seg.parts.datasets.seg_dataset import SegDataset
from seg.registry import DATASETS

RAW_LABEL_MAP = {
    0: 0, 1: 1, 2: 255, 3: 255, 4: 255, 5: 2, 6: 3, 7: 255, 8: 4, 9: 5, 10: 6, 11: 7, 12: 8, 13: 9,
    14: 10, 15: 11, 16: 12, 17: 255, 18: 13, 19: 14, 20: 15, 21: 16, 22: 17, 23: 18, 24: 19, 25: 20,
    26: 21, 27: 22, 28: 255, 29: 23, 30: 24, 31: 25, 32: 26, 33: 27,
}  # fmt: skip
"""Class of each of the 34 annotated ids. Left out are chair, eyeglass frame and lenses, headset,
lower spandex and visible badge."""

_LIST_KEYS = (("img_path", "image"), ("seg_map_path", "segmentation"))


@DATASETS.register_module()
class GoliathDataset(SegDataset):
    """Images and label maps of 28 parts, in two folders or in a JSON list.

    The folders hold pairs of the same path without suffix: ``images/a.jpg`` and
    ``segmentations/a.png``. There is no official split: ``split="train"`` and ``"val"`` divide them
    by ``val_ratio`` or ``val_list``.

    Args:
        img_dir: Folder of the images, below ``data_root``.
        seg_dir: Folder of the label maps, below ``data_root``.
        ann_file: JSON file, below ``data_root``, used instead of the folders: a list of
            ``{"img_path": ..., "seg_map_path": ...}`` (or ``"image"``, ``"segmentation"``), with
            paths below ``data_root`` or absolute ones. Other keys are not read.
        raw_labels: The label maps hold the 34 annotated ids, which are mapped to the 28 classes.
        **kwargs: See :class:`seg.parts.datasets.SegDataset`.

    Raises:
        ConfigError: If both ``raw_labels`` and a ``label_map`` are given.
    """

    METAINFO: ClassVar[dict] = {
        "classes": (
            "Background", "Apparel", "Face_Neck", "Hair", "Left_Foot", "Left_Hand",
            "Left_Lower_Arm", "Left_Lower_Leg", "Left_Shoe", "Left_Sock", "Left_Upper_Arm",
            "Left_Upper_Leg", "Lower_Clothing", "Right_Foot", "Right_Hand", "Right_Lower_Arm",
            "Right_Lower_Leg", "Right_Shoe", "Right_Sock", "Right_Upper_Arm", "Right_Upper_Leg",
            "Torso", "Upper_Clothing", "Lower_Lip", "Upper_Lip", "Lower_Teeth", "Upper_Teeth",
            "Tongue",
        ),
        "palette": (
            (50, 50, 50), (255, 218, 0), (128, 200, 255), (255, 0, 109), (189, 0, 204),
            (255, 0, 218), (0, 160, 204), (0, 255, 145), (204, 0, 131), (182, 0, 255),
            (255, 109, 0), (0, 255, 255), (72, 0, 255), (204, 131, 0), (255, 0, 0), (72, 255, 0),
            (189, 204, 0), (182, 255, 0), (102, 0, 204), (32, 72, 204), (0, 145, 255),
            (14, 204, 0), (0, 128, 72), (235, 205, 119), (115, 227, 112), (157, 113, 143),
            (132, 93, 50), (82, 21, 114),
        ),
        "flip_pairs": (
            ("Left_Foot", "Right_Foot"), ("Left_Hand", "Right_Hand"),
            ("Left_Lower_Arm", "Right_Lower_Arm"), ("Left_Lower_Leg", "Right_Lower_Leg"),
            ("Left_Shoe", "Right_Shoe"), ("Left_Sock", "Right_Sock"),
            ("Left_Upper_Arm", "Right_Upper_Arm"), ("Left_Upper_Leg", "Right_Upper_Leg"),
        ),
    }  # fmt: skip

    def __init__(
        self,
        img_dir: str = "images",
        seg_dir: str = "segmentations",
        ann_file: str | None = None,
        raw_labels: bool = False,
        **kwargs: Any,
    ) -> None:
        self.folders = (img_dir, seg_dir)
        self.list_path = ann_file
        if raw_labels:
            if kwargs.get("label_map") is not None:
                raise ConfigError("GoliathDataset: give raw_labels=True or a label_map, not both.")
            kwargs["label_map"] = RAW_LABEL_MAP
        super().__init__(**kwargs)

    def find_records(self) -> list[Named]:
        """See base class."""
        if self.list_path is None:
            return super().find_records()
        root = Path(self.data_root)
        return _read_records(root / self.list_path, root)


def _read_records(path: Path, root: Path) -> list[Named]:
    """Reads a JSON list; a name is the image's path in it, without suffix."""
    entries = read_json(path)
    if not isinstance(entries, list) or not entries:
        found = "an empty list" if entries == [] else f"a {type(entries).__name__}"
        raise DataError(f"{path} holds {found}; expected a list of entries.")
    records = []
    for i, entry in enumerate(entries):
        image, seg_map = (_value(entry, keys, f"{path}: entry {i}") for keys in _LIST_KEYS)
        name = Path(image).with_suffix("").as_posix()
        paths = {"img_path": as_on_disk(root, image), "seg_map_path": as_on_disk(root, seg_map)}
        records.append((composed(name), paths))
    files = [file for _, record in records for file in record.values()]
    missing = [file for file in files if not Path(file).is_file()]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(files)} files do not exist, such as "
            f"{', '.join(missing[:3])}. Paths are relative to {root}."
        )
    return sorted(records, key=lambda named: (named[0], *named[1].values()))


def _value(entry: Any, keys: tuple[str, ...], where: str) -> str:
    values = [entry[key] for key in keys if key in entry] if isinstance(entry, dict) else []
    if not values:
        raise DataError(f"{where} has no {' or '.join(map(repr, keys))}: {entry!r}")
    return values[0]
