"""Look Into Person (Gong et al., 2017) and Crowd Instance-level Human Parsing (2018): 20 labels."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from engine.errors import ConfigError
from seg.parts.datasets.seg_dataset import SegDataset
from seg.registry import DATASETS


class _PresplitDataset(SegDataset):
    """A dataset with folders for training and validation.

    Args:
        data_root: Folder of the dataset.
        split: Which folders.
        **kwargs: See :class:`seg.parts.datasets.SegDataset`; ``val_ratio`` and ``val_list`` have no
            meaning here and are errors.
    """

    FOLDERS: ClassVar[dict[str, tuple[str, str]]]
    """Folders of the images and of the label maps, by split."""

    def __init__(
        self, data_root: str = "", split: Literal["train", "val"] = "train", **kwargs: Any
    ) -> None:
        name = type(self).__name__
        if split not in self.FOLDERS:
            raise ConfigError(f"{name}: split={split!r}: expected 'train' or 'val'.")
        unused = sorted({"val_ratio", "val_list"} & set(kwargs))
        if unused:
            raise ConfigError(f"{name} has a split of its own; remove {' and '.join(unused)}.")
        self.folders = self.FOLDERS[split]
        super().__init__(data_root=data_root, split="all", **kwargs)


@DATASETS.register_module()
class LIPDataset(_PresplitDataset):
    """LIP: ``images/{train,val}_images`` and ``segmentations/{train,val}_segmentations``.

    Args:
        data_root: Folder of the dataset.
        split: ``"train"`` or ``"val"``.
        **kwargs: ``pipeline``, ``indices``, ``on_corrupt``, ...: see
            :class:`seg.parts.datasets.SegDataset`.
    """

    FOLDERS: ClassVar[dict[str, tuple[str, str]]] = {
        split: (f"images/{split}_images", f"segmentations/{split}_segmentations")
        for split in ("train", "val")
    }
    METAINFO: ClassVar[dict] = {
        "classes": (
            "Background", "Hat", "Hair", "Glove", "Sunglasses", "UpperClothes", "Dress", "Coat",
            "Socks", "Pants", "Jumpsuits", "Scarf", "Skirt", "Face", "Left-arm", "Right-arm",
            "Left-leg", "Right-leg", "Left-shoe", "Right-shoe",
        ),
        "palette": (
            (0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85),
            (0, 119, 221), (85, 85, 0), (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0),
            (0, 0, 255), (51, 170, 221), (0, 255, 255), (85, 255, 170), (170, 255, 85),
            (255, 255, 0), (255, 170, 0),
        ),
        "flip_pairs": (
            ("Left-arm", "Right-arm"), ("Left-leg", "Right-leg"), ("Left-shoe", "Right-shoe"),
        ),
    }  # fmt: skip


@DATASETS.register_module()
class CIHPDataset(_PresplitDataset):
    """CIHP: ``{Training,Validation}/Images`` and ``{Training,Validation}/Category_ids``.

    The classes are LIP's, but class 10 is the bare skin of neck and trunk, not jumpsuits. (The
    release names it after LIP.)

    Args:
        data_root: Folder of the dataset.
        split: ``"train"`` or ``"val"``.
        **kwargs: As for :class:`LIPDataset`.
    """

    FOLDERS: ClassVar[dict[str, tuple[str, str]]] = {
        "train": ("Training/Images", "Training/Category_ids"),
        "val": ("Validation/Images", "Validation/Category_ids"),
    }
    METAINFO: ClassVar[dict] = {
        **LIPDataset.METAINFO,
        "classes": tuple(
            "Torso-skin" if name == "Jumpsuits" else name for name in LIPDataset.METAINFO["classes"]
        ),
    }
