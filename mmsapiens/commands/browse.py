"""Writes samples as the model gets them: after augmentation, with their labels drawn.

mmsapiens browse CONFIG
mmsapiens browse CONFIG --split val --num 4 --out pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmsapiens.commands.arguments import SPLITS, add_config, positive_int
from mmsapiens.commands.configs import default_dir, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    add_config(parser)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--num", type=positive_int, default=16, help="number of samples")
    parser.add_argument("--out", type=Path, help="default work_dirs/browse/<the config's path>")
    parser.add_argument("--epoch", type=int, default=0, help="counted from 0")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run")


def run(args: argparse.Namespace) -> None:
    """Writes the pictures."""
    from rich.console import Console
    from rich.progress import track

    from mmsapiens import preflight
    from mmsapiens.preflight.start import check_data_roots

    cfg = load(args)
    check_data_roots(cfg, splits=(args.split,))
    out_dir = args.out or default_dir(args.config, "browse")
    pictures = preflight.browse(
        cfg, args.split, args.num, out_dir, seed=args.seed, epoch=args.epoch
    )
    num = sum(1 for _ in track(pictures, description="drawing", console=Console(stderr=True)))
    Console().print(f"{num} pictures written to {out_dir}", soft_wrap=True)
