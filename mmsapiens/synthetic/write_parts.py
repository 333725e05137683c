"""Writes synthetic people in the layouts of the datasets of body parts.

======== ============================================ ===========================================
layout   pictures (jpg)                               class ids (8-bit png, 255 is ignored)
======== ============================================ ===========================================
goliath  images/                                      segmentations/
lip      images/{train,val}_images/                   segmentations/{train,val}_segmentations/
cihp     {Training,Validation}/Images/                {Training,Validation}/Category_ids/
======== ============================================ ===========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .body import sample_group, sample_person
from .labels import CIHP_LABELS, GOLIATH_LABELS, LIP_LABELS
from .render import render
from .writing import Split, scene_rng, write_image


@dataclass(frozen=True)
class PartsLayout:
    """Where a dataset keeps its files.

    Args:
        folders: Folders of the pictures and of the label maps, of each split.
        labels: From parts to class ids.
        most_people: In a picture.
    """

    folders: Mapping[Split, tuple[str, str]]
    labels: Mapping[str, int]
    most_people: int = 1

    @property
    def patterns(self) -> tuple[str, ...]:
        """Match the files that :func:`write_parts` writes."""
        return tuple(
            f"{folder}/{'[0-9]' * 6}{suffix}"
            for folders in self.folders.values()
            for folder, suffix in zip(folders, (".jpg", ".png"), strict=True)
        )


GOLIATH = PartsLayout({"train": ("images", "segmentations")}, GOLIATH_LABELS)
LIP = PartsLayout(
    {
        "train": ("images/train_images", "segmentations/train_segmentations"),
        "val": ("images/val_images", "segmentations/val_segmentations"),
    },
    LIP_LABELS,
)
CIHP = PartsLayout(
    {
        "train": ("Training/Images", "Training/Category_ids"),
        "val": ("Validation/Images", "Validation/Category_ids"),
    },
    CIHP_LABELS,
    most_people=4,
)


def write_parts(
    out_dir: Path,
    split: Split,
    index: int,
    *,
    layout: PartsLayout,
    seed: int,
    size_hw: tuple[int, int],
    variety: float = 1.0,
) -> None:
    """Writes picture and labels of one scene, which depend only on the arguments.

    Raises:
        DataError: A file cannot be written.
    """
    rng = scene_rng(seed, index, split)
    num = 1 if layout.most_people == 1 else int(rng.integers(1, layout.most_people + 1))
    scene = sample_person(rng, variety) if num == 1 else sample_group(rng, num, variety)
    picture = render(scene, size_hw)
    images, segmentations = (out_dir / folder for folder in layout.folders[split])
    write_image(images / f"{index:06d}.jpg", picture.image)
    write_image(segmentations / f"{index:06d}.png", picture.labels(layout.labels))
