"""Turns COCO polygons into a folder dataset for SegFolderDataset.

    mmsapiens coco-to-folder instances.json IMAGE_DIR OUT_DIR --categories person

Writes OUT_DIR/images (copies) and OUT_DIR/labels/<stem>.png with 0 for the background and 1, 2, ...
for the categories in the order given. Crowd regions become 255, ignored. Where objects overlap, the
smaller one is on top. Images without any of the categories are left out unless --keep-empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    parser.add_argument("annotations", type=Path, help="COCO instances or keypoints JSON")
    parser.add_argument("image_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--categories", nargs="+", default=["person"])
    parser.add_argument("--keep-empty", action="store_true")


def run(args: argparse.Namespace) -> None:
    """Runs the conversion."""
    from rich.progress import track

    from seg.parts.coco_polygons import read_annotations, write_folder

    coco, label_of = read_annotations(args.annotations, args.categories)
    kept = write_folder(coco, label_of, args.image_dir, args.out_dir, args.keep_empty)
    written = sum(track(kept, "converting", total=len(coco.imgs)))
    classes = ["background", *args.categories]
    print(f"{written} of {len(coco.imgs)} images in {args.out_dir}; classes = {classes}")
