"""COCO polygons as label maps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from engine.errors import ConfigError, DataError
from engine.image_files import write_png


def read_annotations(path: Path, categories: list[str]) -> tuple[COCO, dict[int, int]]:
    """Returns the annotations, and the label of each category id."""
    if not path.is_file():
        raise DataError(f"{path} does not exist.")
    coco = COCO(path)
    ids = {cat["name"]: cat["id"] for cat in coco.loadCats(coco.getCatIds())}
    unknown = [name for name in categories if name not in ids]
    if unknown:
        raise ConfigError(f"--categories: {unknown} not among {sorted(ids)}.")
    return coco, {ids[name]: label for label, name in enumerate(categories, 1)}


def draw_labels(coco: COCO, image_id: int, label_of: dict[int, int]) -> np.ndarray:
    """Draws the labels (H, W) uint8 of an image; crowd regions are 255 where nothing else is."""
    info = coco.imgs[image_id]
    labels = np.zeros((info["height"], info["width"]), np.uint8)
    annotations = coco.loadAnns(coco.getAnnIds(image_id, catIds=list(label_of)))
    masks = [(coco.annToMask(ann) > 0, ann) for ann in annotations if ann.get("segmentation")]
    for mask, ann in sorted(masks, key=lambda m: (not m[1].get("iscrowd"), -m[0].sum())):
        labels[mask] = 255 if ann.get("iscrowd") else label_of[ann["category_id"]]
    return labels


def write_folder(
    coco: COCO, label_of: dict[int, int], image_dir: Path, out_dir: Path, keep_empty: bool
) -> Iterator[bool]:
    """Copies the images and writes their label maps, as ``SegFolderDataset`` reads them.

    Args:
        coco: The annotations.
        label_of: Label of each category id.
        image_dir: The images.
        out_dir: Gets ``images/`` and ``labels/``.
        keep_empty: Keep images without any of the categories.

    Yields:
        Of each image, whether it was kept.

    Raises:
        ConfigError: If ``out_dir`` is not empty.
        DataError: If an image is missing.
    """
    if out_dir.is_dir() and any(out_dir.iterdir()):
        raise ConfigError(f"{out_dir} is not empty; choose another folder, or empty it.")
    for image_id in sorted(coco.imgs):
        labels = draw_labels(coco, image_id, label_of)
        kept = keep_empty or bool(labels.any())
        if kept:
            name = Path(coco.imgs[image_id]["file_name"])  # may have folders, which are kept
            image = image_dir / name
            if not image.is_file():
                raise DataError(f"The annotations name {name}, but there is no {image}.")
            copy, label_path = out_dir / "images" / name, out_dir / "labels" / name
            for path in (copy, label_path):
                path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, copy)
            write_png(label_path.with_suffix(".png"), labels)
        yield kept
