"""Draws what a masked autoencoder makes of images: input | masked | reconstruction.

    python tools/reconstruct.py CONFIG CHECKPOINT --input photos --output pictures
    python tools/reconstruct.py CONFIG CHECKPOINT --input a.jpg --output out --mask-ratios .5 .9

Writes <stem>.png with a row for each mask ratio. A patch that is removed at one ratio is removed at
all higher ones. The checkpoint must have the decoder; the released *_clean.pth files have none.
An unreadable image is reported, the others are done, and the exit code is 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from engine.cli import CfgOptions, run_main
from engine.config import load_config
from engine.data import LoadImage, PackInputs, Resize, Warp, collate_samples
from engine.errors import ConfigError, DataError
from engine.image_files import image_rgb, write_rgb
from engine.infer import InputImage, find_images, init_model
from pretrain import MAE
from pretrain.pictures import draw_strip


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of the config")
    parser.add_argument("checkpoint", help="path of the weights")
    parser.add_argument("--input", required=True, help="image, folder, pattern or .txt list")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="of the pictures")
    parser.add_argument(
        "--mask-ratios", type=float, nargs="+", default=[0.75, 0.85, 0.95], metavar="RATIO"
    )
    parser.add_argument(
        "--paste-visible", action="store_true", help="show the image where it was not removed"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the masks")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1"
    )
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions, help="override config keys")
    return parser.parse_args()


class Reconstructor:
    """Draws images with a model at several mask ratios."""

    def __init__(self, model: MAE, args: argparse.Namespace) -> None:
        size_hw = model.backbone.img_size_hw
        self.pipeline = Compose(
            [LoadImage(), Resize(size_hw=size_hw), Warp(interpolation="bicubic"), PackInputs()]
        )
        self.model = model
        self.mask_ratios: list[float] = args.mask_ratios
        self.paste_visible: bool = args.paste_visible
        self.seed: int = args.seed
        for ratio in self.mask_ratios:
            model.backbone.set_mask_ratio(ratio)  # a wrong one fails here, before any work

    def draw(self, index: int, path: Path) -> NDArray:
        """Returns a strip for each ratio, one below the other, in RGB."""
        sample = {"img_path": str(path), "sample_key": (self.seed, 0, index)}
        packed = self.pipeline(sample)
        image = image_rgb(packed)
        strips = []
        for ratio in self.mask_ratios:
            self.model.backbone.set_mask_ratio(ratio)
            with torch.inference_mode():
                (predicted,) = self.model.test_step(collate_samples([packed]))
            strips.append(draw_strip(image, predicted, self.paste_visible))
        return np.vstack(strips)

    def write(self, index: int, image: InputImage, out_dir: Path) -> None:
        """Writes the picture of an image.

        Raises:
            DataError: If the image cannot be read or the picture not be written.
        """
        path = out_dir / f"{image.out_stem}.png"
        if path.exists() and path.samefile(image.path):
            raise DataError("the picture would overwrite the image; choose another --output.")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rgb(path, self.draw(index, image.path))


def main() -> int:
    """Draws all images; returns the exit code."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    images = find_images(args.input)
    model, _ = init_model(cfg, args.checkpoint, args.device)
    if not isinstance(model, MAE):
        raise ConfigError(f"{args.config}: model.type is {cfg.model.type}; expected MAE.")
    reconstructor = Reconstructor(model, args)
    console, failed = Console(stderr=True), 0
    for index, image in enumerate(track(images, description="drawing", console=console)):
        try:
            reconstructor.write(index, image, args.output)
        except DataError as error:
            failed += 1
            console.print(f"failed: {image.path}: {error}", style="red", soft_wrap=True)
    print(f"{len(images) - failed} of {len(images)} images done; pictures are in {args.output}")
    return 1 if failed else 0


if __name__ == "__main__":
    run_main(main)
