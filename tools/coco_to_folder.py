"""Turns COCO polygons into a folder dataset for SegFolderDataset.

    python tools/coco_to_folder.py instances.json IMAGE_DIR OUT_DIR --categories person

Writes OUT_DIR/images (copies) and OUT_DIR/labels/<stem>.png with 0 for the background and 1, 2, ...
for the categories in the order given. Crowd regions become 255, ignored. Where objects overlap, the
smaller one is on top. Images without any of the categories are left out unless --keep-empty.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools.coco import COCO
from rich.progress import track

from engine.cli import run_main
from engine.errors import ConfigError, DataError


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path, help="COCO instances or keypoints JSON")
    parser.add_argument("image_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--categories", nargs="+", default=["person"])
    parser.add_argument("--keep-empty", action="store_true")
    return parser.parse_args()


def draw_labels(coco: COCO, image_id: int, label_of: dict[int, int]) -> np.ndarray:
    """Draws the labels (H, W) uint8 of an image; crowd regions are 255 where nothing else is."""
    info = coco.imgs[image_id]
    labels = np.zeros((info["height"], info["width"]), np.uint8)
    annotations = coco.loadAnns(coco.getAnnIds(image_id, catIds=list(label_of)))
    masks = [(coco.annToMask(ann) > 0, ann) for ann in annotations if ann.get("segmentation")]
    for mask, ann in sorted(masks, key=lambda m: (not m[1].get("iscrowd"), -m[0].sum())):
        labels[mask] = 255 if ann.get("iscrowd") else label_of[ann["category_id"]]
    return labels


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


def main() -> None:
    """Runs the conversion."""
    args = parse_args()
    coco, label_of = read_annotations(args.annotations, args.categories)
    if args.out_dir.is_dir() and any(args.out_dir.iterdir()):
        raise ConfigError(f"{args.out_dir} is not empty; choose another folder, or empty it.")
    written = 0
    for image_id in track(sorted(coco.imgs), "converting"):
        labels = draw_labels(coco, image_id, label_of)
        if not labels.any() and not args.keep_empty:
            continue
        name = Path(coco.imgs[image_id]["file_name"])  # may have folders, which are kept
        source = args.image_dir / name
        if not source.is_file():
            raise DataError(f"{args.annotations} names {name}, which is not in {args.image_dir}.")
        image_path = args.out_dir / "images" / name
        label_path = (args.out_dir / "labels" / name).with_suffix(".png")
        for path in (image_path, label_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, image_path)
        Image.fromarray(labels).save(label_path)
        written += 1
    classes = ["background", *args.categories]
    print(f"{written} of {len(coco.imgs)} images in {args.out_dir}; classes = {classes}")


if __name__ == "__main__":
    run_main(main)
