"""Renders people, trains sapiens_tiny on them, evaluates and draws: on a CPU, in minutes.

    mmsapiens demo              # faces
    mmsapiens demo pose         # 17 keypoints; also: parts, depth, normal
    mmsapiens demo pretrain     # masked autoencoding, then body parts from it and from scratch

Data goes to $DATA_ROOT (default data), results to work_dirs/demo_TASK, both of the working
directory. The first step that fails ends the demo with its exit code. Numbers of demo pretrain can
be set in the environment: see mmsapiens/commands/demo.py.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.signals import STOPPED_EXIT_CODE


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
MAE = "pretrain/synthetic/mae_sapiens_tiny_synthetic-256x256"


@dataclass(frozen=True)
class Settings:
    """Sizes and times of the demo of pretraining; in capitals, variables of the environment."""

    unlabelled: int = 2000
    """People to pretrain on."""
    pretrain_seconds: float = 240
    """The pretraining stops and saves after this, finished or not."""
    pretrain_epochs: int = 7
    pretrain_edge: int = 192
    """Side of its square images."""
    labelled: int = 100
    """People to finetune on, of 320 rendered ones, half of which are held out."""
    finetune_epochs: int = 20
    work_dir: Path = Path("work_dirs", "demo_pretrain")

    @classmethod
    def from_environment(cls) -> Settings:
        """Reads each field from the variable of its name in capitals; empty ones do not count."""
        kinds = {name: type(value) for name, value in vars(cls()).items()}
        texts = {name: os.environ.get(name.upper()) for name in kinds}
        return cls(**{name: kinds[name](text) for name, text in texts.items() if text})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    parser.add_argument("task", nargs="?", choices=[*DEMOS, "pretrain"], default="face")


def run(args: argparse.Namespace) -> int:
    """Runs the demo of a task; returns the exit code of the step that failed, or 0."""
    try:
        if args.task == "pretrain":
            compare_pretraining(Settings.from_environment())
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


def compare_pretraining(settings: Settings) -> None:
    """Does masked autoencoding help a model that has few labels?

    sapiens_tiny is pretrained on rendered people without labels, for at most four minutes, then
    finetuned for body parts on a few labelled ones: from the result, and from scratch with the same
    budget.
    """
    unlabelled = data_root() / "synthetic_people"
    labelled = data_root() / "synthetic_few_parts"
    parts = ("goliath", "--variety", "0.1", "--workers", "2")
    render(unlabelled, *parts, "--num", str(settings.unlabelled), "--seed", "1")
    render(labelled, *parts, "--num", "320", "--seed", "2")

    clean = pretrain(settings, unlabelled, labelled)
    weights = [
        "model.backbone.init_cfg.type=Pretrained",
        f"model.backbone.init_cfg.checkpoint={clean}",
    ]
    from_mae = finetune(settings, labelled, "pretrained", *weights)
    from_scratch = finetune(settings, labelled, "scratch")
    pictures = settings.work_dir / "pictures"
    print(f"\n{settings.labelled} labelled people, {settings.finetune_epochs} epochs")
    print(f"  from the pretraining: {from_mae}")
    print(f"  from scratch:         {from_scratch}")
    print(f"pictures: {pictures} (input | masked | reconstruction, at three mask ratios)")


def pretrain(settings: Settings, unlabelled: Path, labelled: Path) -> Path:
    """Pretrains, and draws images that the model has not seen; returns the encoder's weights."""
    size = f"input_size_hw=({settings.pretrain_edge},{settings.pretrain_edge})"
    data = f"train_dataloader.dataset.data_root={unlabelled / 'images'}"
    epochs = f"train_cfg.max_epochs={settings.pretrain_epochs}"
    mae_dir, clean = settings.work_dir / "mae", settings.work_dir / "mae_clean.pth"
    words = ["train", MAE, "--work-dir", mae_dir, "--cfg-options", size, data, epochs]
    step(*words, seconds=settings.pretrain_seconds)
    last = newest(mae_dir, "*.pth")
    step("convert", last, clean, "--backbone", "--overwrite")
    seen = ["--input", labelled / "images" / "*00.*", "--output", settings.work_dir / "pictures"]
    step("reconstruct", MAE, last, *seen, "--cfg-options", size)
    return clean


def finetune(settings: Settings, labelled: Path, name: str, *options: str) -> str:
    """Finetunes body parts; returns the last mIoU of the log."""
    folder = settings.work_dir / name
    epochs = settings.finetune_epochs
    step(
        "train",
        DEMOS["parts"].config,
        "--work-dir",
        folder,
        "--cfg-options",
        f"train_dataloader.dataset.data_root={labelled}",
        f"train_dataloader.dataset.indices={settings.labelled}",
        "train_dataloader.dataset.val_ratio=0.5",
        f"val_dataloader.dataset.data_root={labelled}",
        "val_dataloader.dataset.val_ratio=0.5",
        f"test_dataloader.dataset.data_root={labelled}",  # not read, but looked for at the start
        f"train_cfg.max_epochs={epochs}",
        f"train_cfg.val_interval={epochs}",
        *options,
    )
    return re.findall(r"mIoU: [0-9.]*", newest(folder, "*/*.log").read_text())[-1]


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


def step(*words: object, seconds: float | None = None) -> None:
    """Runs a verb; a training for at most so long: stopped by SIGTERM, it saves its state.

    Raises:
        CalledProcessError: If it fails.
    """
    with subprocess.Popen(command(words)) as process:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            code = process.wait()
        except KeyboardInterrupt:  # which the verb has seen, too; killed, it would leave workers
            process.wait()
            raise
    if code == STOPPED_EXIT_CODE and seconds is not None:
        code = 0
    if code:
        raise subprocess.CalledProcessError(code, process.args)


def command(words: Sequence[object]) -> list[str]:
    """Returns the command line of a verb, run by this interpreter."""
    return [sys.executable, "-m", "mmsapiens", *map(str, words)]


def newest(folder: Path, pattern: str) -> Path:
    """Returns the file that was written last."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
