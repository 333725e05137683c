"""Writes synthetic people in the layouts of the real datasets, so that the same configs read both.

    mmsapiens synthesize face data/face/synthetic --num 200 --size 512 --workers 2
    mmsapiens synthesize lip data/lip_synthetic --num 500 --num-val 50
    mmsapiens synthesize coco data/coco_synthetic --num 500 --num-val 50

Picture i of a split depends only on i, seed, size and variety, whatever the number of pictures or
workers.
Layouts without a split of their own (face, goliath, depth, normal) are divided by their datasets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmsapiens.commands.arguments import natural_int, positive_int, share

SIZES_HW = {
    "face": (512, 512),
    "goliath": (256, 192),
    "lip": (256, 192),
    "cihp": (256, 256),
    "depth": (256, 192),
    "normal": (256, 192),
    "coco": (320, 384),
    "coco_wholebody": (480, 576),
    "goliath_pose": (512, 384),
}
"""The default height and width of a picture, by layout."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    layouts = parser.add_subparsers(dest="layout", required=True)
    for name, size_hw in SIZES_HW.items():
        layout = layouts.add_parser(name, help=f"write the {name} layout")
        layout.add_argument("out_dir", type=Path)
        layout.add_argument("--num", type=positive_int, default=200, help="number of pictures")
        layout.add_argument(
            "--num-val", type=natural_int, default=0, help="pictures of the validation split"
        )
        layout.add_argument(
            "--size",
            type=positive_int,
            nargs="+",
            default=size_hw,
            metavar=("H", "W"),
            help=f"height and width in pixels, or one number for both; default {size_hw}",
        )
        layout.add_argument("--seed", type=int, default=0)
        if name != "face":
            layout.add_argument(
                "--variety",
                type=share,
                default=1.0,
                help="of poses and views, from 0 (all people stand still, seen from the front) to "
                "1 (default); with little of it, a short training shows what it can learn",
            )
        layout.add_argument("--workers", type=positive_int, default=1, help="number of processes")
        layout.add_argument(
            "--overwrite", action="store_true", help="delete the layout's files in out_dir first"
        )


def run(args: argparse.Namespace) -> None:
    """Writes the pictures."""
    from rich.progress import track

    from engine.errors import ConfigError, DataError
    from mmsapiens.synthetic.layouts import LAYOUTS, Split
    from mmsapiens.synthetic.write_dataset import prepare, write_split

    if len(args.size) > 2:
        raise ConfigError(f"--size takes one or two numbers, found {len(args.size)}.")
    layout = LAYOUTS[args.layout]
    if args.num_val and "val" not in layout.splits:
        raise DataError(
            f"--num-val={args.num_val}: the layout {args.layout!r} has no validation split. Leave "
            'it out; the dataset holds some pictures out with split="train" and split="val".'
        )
    prepare(args.out_dir, layout.patterns, args.overwrite)
    options = {name: vars(args)[name] for name in ("seed", "variety") if name in args}
    options["size_hw"] = (args.size[0], args.size[-1])
    nums: dict[Split, int] = {"train": args.num, "val": args.num_val}
    for split, num in nums.items():
        if num:
            done = write_split(layout, args.out_dir, split, num, args.workers, **options)
            for _ in track(done, description=f"{args.out_dir} {split}", total=num):
                pass
