"""Shows on one sheet what several models see in an image.

    mmsapiens gallery photo.jpg sapiens-1b-parts sapiens-1b-depth sapiens-1b-normal --output a.jpg
    mmsapiens gallery photo.jpg work_dirs/a/best.pth work_dirs/b/best.pth --output sheet.png

A model is a released one by name, or a checkpoint of a training; they are loaded one after the
other. With body parts among them, depth and normals are shown where they find a person. `make
gallery` trains four and makes the sheet of the README.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmsapiens.commands.arguments import add_device, positive_int

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmsapiens.predictors import Result

_BAR, _GAP = 28, 4  # pixels: height of a caption, and between tiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    parser.add_argument("image", help="of a person")
    parser.add_argument("models", nargs="+", help="released names, or checkpoints of trainings")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help=".png or .jpg")
    parser.add_argument("--height", type=positive_int, default=480, help="of a tile, pixels")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Makes the sheet; returns the exit code."""
    from engine.data.loading import read_image
    from engine.errors import ConfigError
    from engine.image_files import write_rgb
    from mmsapiens.predictors import Parts, load

    if args.output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"--output {args.output}: expected a name that ends with .png or .jpg.")
    image = read_image(args.image)
    results: list[Result] = []
    for source in args.models:
        with load(source, device=args.device or "auto") as model:
            results.append(model(args.image))
    masks = (result.foreground for result in results if isinstance(result, Parts))
    mask = next(masks, None)
    tiles = [("image", image[..., ::-1])]
    tiles += [(result.what, result.tile(mask)) for result in results]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_rgb(args.output, sheet(tiles, args.height))
    print(f"{len(tiles)} tiles; the sheet is {args.output}")
    return 0


def sheet(tiles: Sequence[tuple[str, NDArray]], height: int) -> NDArray:
    """Lays pictures side by side.

    Args:
        tiles: Captions, and pictures (H, W, 3) uint8 RGB of any sizes.
        height: To which they are resized.

    Returns:
        (height + a bar, W', 3) uint8 RGB.
    """
    import cv2
    import numpy as np

    from engine.visualizer import put_text

    columns = []
    for caption, picture in tiles:
        width = max(round(picture.shape[1] * height / picture.shape[0]), 1)
        kind = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_LINEAR
        tile = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=kind)
        bar = np.full((_BAR, width, 3), 255, np.uint8)
        put_text(bar, caption, (8, _BAR - 9), 0.5, (0, 0, 0))
        gap = np.full((height + _BAR, _GAP, 3), 255, np.uint8)
        columns += [np.vstack([bar, tile]), gap]
    return np.hstack(columns[:-1])
