"""Writes samples as the model gets them: after augmentation, with their labels drawn.

python tools/browse_data.py CONFIG
python tools/browse_data.py CONFIG --split val --num 4 --out pictures
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from engine import preflight
from engine.cli import CfgOptions, run_main
from engine.config import check_data_roots, load_config


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of the config")
    parser.add_argument("--split", choices=preflight.SPLITS, default="train")
    parser.add_argument("--num", type=int, default=16, help="number of samples")
    parser.add_argument("--out", type=Path, help="default work_dirs/browse_data/<config name>")
    parser.add_argument("--epoch", type=int, default=0, help="counted from 0")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run")
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions, help="override config keys")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the pictures."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    check_data_roots(cfg, splits=(args.split,))
    out_dir = args.out or Path("work_dirs", "browse_data", Path(args.config).stem)
    pictures = preflight.browse(
        cfg, args.split, args.num, out_dir, seed=args.seed, epoch=args.epoch
    )
    num = sum(1 for _ in track(pictures, description="drawing", console=Console(stderr=True)))
    Console().print(f"{num} pictures written to {out_dir}", soft_wrap=True)


if __name__ == "__main__":
    run_main(main)
