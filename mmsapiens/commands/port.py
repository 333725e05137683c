"""Translates a config of MMSegmentation, MMPose, MMPretrain or the release.

    mmsapiens port theirs.py ported.py

The config is read, and nothing of it is run. What became of its names is listed, and so is what
is wrong with the result: these are left to be done by hand, and the exit code is 1. The names of
both sides: docs/porting.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    parser.add_argument("theirs", type=Path, help="their config, with its bases beside it")
    parser.add_argument("out", type=Path, help="where to write the translated one")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def run(args: argparse.Namespace) -> int:
    """Translates the config; returns the exit code."""
    from mmengine.config import Config

    from engine.config import load_config
    from engine.errors import ConfigError
    from mmsapiens.porting import read_foreign, translate

    if args.out.exists() and not args.overwrite:
        raise ConfigError(f"{args.out} exists. Give another name, or pass --overwrite.")
    sections, notes = translate(read_foreign(args.theirs))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(Config(sections).pretty_text, encoding="utf-8")
    print("\n".join(notes))
    try:
        load_config(args.out)
    except ConfigError as error:
        print(f"\nwritten to {args.out}; left to be done:")
        print("\n".join(f"  {text}" for text in error.args))
        return 1
    print(f"\nwritten to {args.out}; it loads: mmsapiens check {args.out} looks at its data")
    return 0
