"""Draws what a masked autoencoder makes of images: input | masked | reconstruction.

    mmsapiens reconstruct CONFIG CHECKPOINT --input photos --output pictures
    mmsapiens reconstruct CONFIG CHECKPOINT --input a.jpg --output out --mask-ratios .5 .9

Writes <stem>.png with a row for each mask ratio. A patch that is removed at one ratio is removed at
all higher ones. The checkpoint must have the decoder; the released *_clean.pth files have none.
An unreadable image is reported, the others are done, and the exit code is 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmsapiens.commands.arguments import add_device, add_model, finite
from mmsapiens.commands.configs import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    add_model(parser)
    parser.add_argument("--input", required=True, help="image, folder, pattern or .txt list")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="of the pictures")
    parser.add_argument(
        "--mask-ratios", type=finite, nargs="+", default=[0.75, 0.85, 0.95], metavar="RATIO"
    )
    parser.add_argument(
        "--paste-visible", action="store_true", help="show the image where it was not removed"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the masks")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Draws all images; returns the exit code."""
    from rich.console import Console
    from rich.progress import track

    from engine.device import find_device
    from engine.errors import ConfigError
    from engine.infer import find_images, init_model
    from pretrain import MAE
    from pretrain.pictures import Reconstructor

    cfg = load(args)
    images = find_images(args.input)
    model, _ = init_model(cfg, args.checkpoint, find_device(args.device))
    if not isinstance(model, MAE):
        raise ConfigError(f"{args.config}: model.type is {cfg.model.type}; expected MAE.")
    reconstructor = Reconstructor(model, args.mask_ratios, args.paste_visible, args.seed)
    console, failed = Console(stderr=True), 0
    for index, image in enumerate(track(images, description="drawing", console=console)):
        try:
            reconstructor.write(index, image, args.output)
        except Exception as error:  # whatever is wrong with one file must not stop the others
            failed += 1
            reason = f"failed: {image.path}: {type(error).__name__}: {error}"
            console.print(reason, style="red", markup=False, soft_wrap=True)
    print(f"{len(images) - failed} of {len(images)} images done; pictures are in {args.output}")
    return 1 if failed else 0
