"""What the pictures of depth and normals are cut to: masks of a folder, or of a model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.config import Config

    from engine.infer import Writer
    from engine.infer.results import MaskOf
    from seg.foreground import Foreground


def check_masks(args: argparse.Namespace, writer: type[Writer], save: Sequence[str] | None) -> None:
    """Checks --seg-dir and --foreground.

    Args:
        args: Of the command.
        writer: Of the config.
        save: What it is to write; None for all.

    Raises:
        ConfigError: If both are given, or the writer takes no masks, draws nothing, or would
            replace those of the folder.
    """
    from engine.errors import ConfigError

    if args.foreground is None and args.seg_dir is None:
        return
    name = "--seg-dir" if args.foreground is None else "--foreground"
    if args.foreground is not None and args.seg_dir is not None:
        raise ConfigError("--foreground and --seg-dir both say where people are; give one.")
    if not writer.takes_masks:
        raise ConfigError(f"{name}: {writer.__name__} takes no masks; depth and normals do.")
    if save is not None and "picture" not in save:
        raise ConfigError(
            f"{name} is for pictures, and of {', '.join(save)} none is one; arrays are of the "
            "whole image. Leave it out, or --save picture, too."
        )
    folder = args.seg_dir
    if folder and (not folder.is_dir() or folder.resolve() == args.output.resolve()):
        raise ConfigError(
            f"--seg-dir {str(folder)!r}: expected a folder of masks, and not that of --output, "
            "whose .npy files would replace them."
        )


def mask_source(args: argparse.Namespace) -> MaskOf | None:
    """Returns what reads the masks of --seg-dir."""
    if args.seg_dir is None:
        return None
    from seg.surface.reading import load_mask

    return partial(load_mask, args.seg_dir)


def find_foreground(args: argparse.Namespace) -> Config | None:
    """Returns the config of --foreground, which then holds the paths of config and checkpoint.

    Raises:
        ConfigError: If there is no such model, or it is of another task.
        WeightsError: If it is not here and cannot be downloaded.
    """
    if args.foreground is None:
        return None
    from engine.config import load_config
    from mmsapiens.export.model import size_option, take_graph
    from mmsapiens.sources import find_model
    from seg.foreground import check_segmentation

    args.foreground = tuple(map(str, find_model(args.foreground)))
    cfg = load_config(args.foreground[0], size_option(args.foreground[1]))
    check_segmentation(cfg)
    take_graph(cfg, args.foreground[1], graph=False)
    return cfg


def load_foreground(args: argparse.Namespace, cfg: Config | None, device: str) -> Foreground | None:
    """Loads the model of --foreground."""
    if cfg is None:
        return None
    from engine.device import find_device
    from mmsapiens.export.model import init_any
    from seg.foreground import Foreground

    return Foreground(init_any(cfg, args.foreground[1], find_device(device))[0], cfg)
