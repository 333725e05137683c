"""The demo of pretraining: does masked autoencoding help a model that has few labels?

sapiens_tiny is pretrained on rendered people without labels, for at most four minutes, then
finetuned for body parts on a few labelled ones: from the result, and from scratch with the same
budget. The fields of :class:`Settings`, in capitals, can be set in the environment.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mmsapiens.commands import demo

MAE = "pretrain/synthetic/mae_sapiens_tiny_synthetic-256x256"
PARTS = "seg/synthetic_parts/sapiens_tiny_synthetic_parts-192x144"


@dataclass(frozen=True)
class Settings:
    """Sizes and times of the demo."""

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


def run_demo() -> None:
    """Pretrains, draws reconstructions, finetunes twice and compares."""
    settings = Settings.from_environment()
    unlabelled = demo.data_root() / "synthetic_people"
    labelled = demo.data_root() / "synthetic_few_parts"
    parts = ("goliath", "--variety", "0.1", "--workers", "2")
    demo.render(unlabelled, *parts, "--num", str(settings.unlabelled), "--seed", "1")
    demo.render(labelled, *parts, "--num", "320", "--seed", "2")

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
    step_for(settings.pretrain_seconds, *words)
    last = demo.newest(mae_dir, "*.pth")
    demo.step("convert", last, clean, "--backbone", "--overwrite")
    seen = ["--input", labelled / "images" / "*00.*", "--output", settings.work_dir / "pictures"]
    demo.step("reconstruct", MAE, last, *seen, "--cfg-options", size)
    return clean


def step_for(seconds: float, *words: object) -> None:
    """Runs a training for at most so long: stopped by SIGTERM, it saves its state.

    Raises:
        CalledProcessError: If it fails.
    """
    from engine.stop import STOPPED_EXIT_CODE

    command = demo.command(words)
    with subprocess.Popen(command) as process:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            code = process.wait()
    if code not in (0, STOPPED_EXIT_CODE):
        raise subprocess.CalledProcessError(code, command)


def finetune(settings: Settings, labelled: Path, name: str, *options: str) -> str:
    """Finetunes body parts; returns the last mIoU of the log."""
    folder = settings.work_dir / name
    epochs = settings.finetune_epochs
    demo.step(
        "train",
        PARTS,
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
    return re.findall(r"mIoU: [0-9.]*", demo.newest(folder, "*/*.log").read_text())[-1]
