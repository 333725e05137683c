"""Renders people, trains sapiens_tiny on them, evaluates and draws: on a CPU, in minutes.

    mmsapiens demo              # faces
    mmsapiens demo pose         # 17 keypoints; also: parts, depth, normal
    mmsapiens demo pretrain     # masked autoencoding, then body parts from it and from scratch

Data goes to $DATA_ROOT (default data), results to work_dirs/demo_TASK, both of the working
directory. The first step that fails ends the demo with its exit code. Numbers of demo pretrain can
be set in the environment: see mmsapiens/commands/demo_pretrain.py.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Demo(NamedTuple):
    """A demo of one training.

    Attributes:
        config: Its name.
        data: Folder below $DATA_ROOT, as the config has it.
        synthesize: What is rendered there: the layout, and options.
        figure: What chooses the best checkpoint.
        picture: What a picture shows.
    """

    config: str
    data: str
    synthesize: str
    figure: str
    picture: str = "image | truth | prediction"


DEMOS = {
    "face": Demo(
        "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144",
        "synthetic_face",
        "face --num 640 --size 256",
        "mIoU",
    ),
    "parts": Demo(
        "seg/synthetic_parts/sapiens_tiny_synthetic_parts-192x144",
        "synthetic_parts",
        "goliath --num 1000 --variety 0.1 --workers 2",
        "mIoU",
    ),
    "depth": Demo(
        "depth/synthetic/sapiens_tiny_synthetic_depth-192x144",
        "synthetic_depth",
        "depth --num 1000 --variety 0.05 --workers 2",
        "RMSE",
    ),
    "normal": Demo(
        "normal/synthetic/sapiens_tiny_synthetic_normal-192x144",
        "synthetic_normal",
        "normal --num 1000 --variety 0.15 --workers 2",
        "mean_angle",
    ),
    "pose": Demo(
        "pose/synthetic/sapiens_tiny_synthetic_coco-192x144",
        "synthetic_coco",
        "coco --num 500 --num-val 80 --variety 0.2 --workers 2",
        "coco_AP",
        "truth | prediction",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    parser.add_argument("task", nargs="?", choices=[*DEMOS, "pretrain"], default="face")


def run(args: argparse.Namespace) -> int:
    """Runs the demo of a task; returns the exit code of the step that failed, or 0."""
    from mmsapiens.commands import demo_pretrain

    try:
        if args.task == "pretrain":
            demo_pretrain.run_demo()
        else:
            run_demo(args.task)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"demo {args.task}: failed: {shlex.join(error.cmd)}\n")
        return error.returncode if error.returncode > 0 else 128 - error.returncode
    return 0


def run_demo(task: str) -> None:
    """Renders, trains, evaluates and draws."""
    demo, work_dir = DEMOS[task], Path("work_dirs", f"demo_{task}")
    render(data_root() / demo.data, *demo.synthesize.split())
    step("train", demo.config, "--work-dir", work_dir)
    best = newest(work_dir, f"best_{demo.figure}_*.pth")
    outputs = ["--work-dir", work_dir / "test", "--show-dir", work_dir / "pictures"]
    step("test", demo.config, best, *outputs)
    print(f"\ncheckpoint:  {best}")
    print(f"pictures:    {work_dir / 'pictures'} ({demo.picture})")
    print(f"TensorBoard: tensorboard --logdir {work_dir}")


def data_root() -> Path:
    """Returns where configs look for data."""
    return Path(os.environ.get("DATA_ROOT") or "data")


def render(folder: Path, layout: str, *options: str) -> None:
    """Renders people, beside the folder, so that an interrupted run leaves nothing half done."""
    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    step("synthesize", layout, partial, *options, "--overwrite")
    partial.rename(folder)


def step(*words: object) -> None:
    """Runs a verb; raises CalledProcessError if it fails."""
    with subprocess.Popen(command(words)) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:  # which the verb has seen, too; killed, it would leave workers
            process.wait()
            raise
    if code:
        raise subprocess.CalledProcessError(code, process.args)


def command(words: Sequence[object]) -> list[str]:
    """Returns the command line of a verb, run by this interpreter."""
    return [sys.executable, "-m", "mmsapiens", *map(str, words)]


def newest(folder: Path, pattern: str) -> Path:
    """Returns the file that was written last."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
