"""Measures parts of a training run, and exported files.

mmsapiens benchmark data seg/face/sapiens_1b_face-1024x768
mmsapiens benchmark model seg/face/sapiens_1b_face-1024x768 --compare
mmsapiens benchmark mask pretrain/humans/mae_sapiens_0.3b_humans-1024x1024
mmsapiens benchmark pose pose/goliath/sapiens_1b_goliath-1024x768
mmsapiens benchmark scaling seg/goliath/sapiens_1b_goliath-1024x768
mmsapiens benchmark tracking
mmsapiens benchmark export CONFIG CHECKPOINT
"""

from __future__ import annotations

import argparse
from importlib import import_module

from mmsapiens.commands.arguments import add_config, add_device, finite, positive_int
from mmsapiens.shipped import find_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    whats = parser.add_subparsers(dest="what", required=True)
    for name, (measured, add_its_arguments) in BENCHMARKS.items():
        what = whats.add_parser(name, help=measured, description=measured)
        if name not in WITHOUT_CONFIG:
            add_config(what)
        add_its_arguments(what)


def run(args: argparse.Namespace) -> None:
    """Runs one benchmark."""
    if "config" in args:
        args.config = str(find_config(args.config))
    if "device" in args:
        from engine.device import find_device

        args.device = str(find_device(args.device))
    import_module(f"mmsapiens.benchmarks.{args.what}").run(args)


def _of_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--num", type=positive_int, default=64, help="images a round (default 64)")
    _add_rounds(parser)


def _of_model(parser: argparse.ArgumentParser) -> None:
    _add_step(parser, batch_size=1, steps=5)
    parser.add_argument("--compile", action="store_true", help="compile block by block")
    parser.add_argument("--activation-checkpointing", action="store_true")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="plain eager float32, --dtype, and --dtype with activation checkpointing",
    )


def _of_mask(parser: argparse.ArgumentParser) -> None:
    _add_step(parser, batch_size=4, steps=3)
    parser.add_argument("--mask-ratios", type=finite, nargs="+", default=[0.0, 0.75])


def _of_pose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch-size", type=int, default=16, help="people a batch (default 16)")
    _add_rounds(parser)


def _of_scaling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gpus", type=positive_int, nargs="+", default=[8, 16, 32, 64, 128, 256, 512]
    )
    parser.add_argument("--batch-size", type=positive_int, default=1, help="of a GPU (default 1)")
    parser.add_argument("--gpu", default="H100", help="whose data sheet (default H100)")
    parser.add_argument("--mfu", type=finite, default=0.5, help="share of it (default 0.5)")
    parser.add_argument("--nvlink", type=finite, default=360.0, help="GB/s (default 360)")
    parser.add_argument("--network", type=finite, default=40.0, help="GB/s a GPU (default 40)")


def _of_tracking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=finite, default=4.0, help="of the film (default 4)")
    parser.add_argument("--fps", type=finite, default=30.0, help="frames a second (default 30)")
    parser.add_argument("--noise", type=finite, default=0.005, help="in picture heights (0.005)")


def _of_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="path of the weights")
    formats = ["torchscript", "pt2", "aot", "onnx", "safetensors"]
    parser.add_argument("--formats", nargs="+", choices=formats, default=formats)
    dtypes = ["float32", "bfloat16", "float16"]
    parser.add_argument("--dtypes", nargs="+", choices=dtypes, default=dtypes)
    parser.add_argument("--compile", action="store_true", help="the model compiled, too")
    parser.add_argument("--batch-size", type=positive_int, default=1, help="images (default 1)")
    add_device(parser)
    parser.add_argument("--rounds", type=positive_int, default=20, help="rounds (default 20)")


def _add_rounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")


def _add_step(parser: argparse.ArgumentParser, batch_size: int, steps: int) -> None:
    parser.add_argument(
        "--batch-size", type=int, default=batch_size, help=f"images a step (default {batch_size})"
    )
    parser.add_argument("--dtype", default="bfloat16", help="bfloat16 (default) or float32")
    add_device(parser)
    parser.add_argument(
        "--steps", type=int, default=steps, help=f"after one to warm up (default {steps})"
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count the processor time of all threads: fairer on a CPU that others use, too",
    )


BENCHMARKS = {
    "data": ("images a second of one data worker, next to MMCV's transforms", _of_data),
    "model": ("time and memory of a training step, part by part", _of_model),
    "mask": ("how a step of masked autoencoding gets cheaper with the mask", _of_mask),
    "pose": ("drawing and reading heatmaps, and what 4K pictures cost", _of_pose),
    "scaling": ("what sharded training would cost on many GPUs, by counting", _of_scaling),
    "tracking": ("ids and steadiness of rendered people who walk past each other", _of_tracking),
    "export": ("exported files: difference, size, time, figure on the test set", _of_export),
}
"""What each module of :mod:`mmsapiens.benchmarks` measures, and what adds its own arguments."""
WITHOUT_CONFIG = ("tracking",)
