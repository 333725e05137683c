"""Fixtures that all tests share."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from engine.config import load_config
from engine.data import geometry
from engine.data.sample import Sample
from engine.signals import STOP_SIGNALS
from mmsapiens.synthetic.layouts import LAYOUTS
from mmsapiens.synthetic.write_dataset import write_split

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--fuzz``: damaged files of each test of tests/fuzz; the first ones are the same."""
    parser.addoption("--fuzz", type=int, default=40, metavar="NUM", help="damaged files a test")


class Golden:
    """A recorded file: ``meta``, and tensors by key."""

    def __init__(self, name: str) -> None:
        self.arrays = np.load(ROOT / "tests" / "golden" / f"{name}.npz")
        self.meta: dict[str, Any] = json.loads(str(self.arrays["meta"]))

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[key])

    @property
    def state_dict(self) -> dict[str, torch.Tensor]:
        keys = [key for key in self.arrays if key.startswith("state/")]
        return {key.removeprefix("state/"): self[key] for key in keys}


@pytest.fixture(autouse=True)
def no_default_scope() -> None:
    """Names resolve from a test's own registry, and logs go to its own logger."""
    DefaultScope._instance_dict.clear()
    MMLogger._instance_dict.clear()


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What a training that is stopped leaves to its process is put back after each test."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def golden() -> type[Golden]:
    return Golden


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def faces_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 rendered faces of 64 x 64 in FaceSynthetics' layout."""
    out_dir = tmp_path_factory.mktemp("faces")
    list(write_split(LAYOUTS["face"], out_dir, "train", 16, seed=0, size_hw=(64, 64)))
    return out_dir


@pytest.fixture
def face_config(faces_dir: Path, tmp_path: Path) -> Callable[..., Config]:
    """Loads the config of the demo for the rendered faces, small and short.

    Options are added by dotted key, as ``--cfg-options`` does.
    """
    runs = itertools.count()
    return lambda **options: make_face_config(faces_dir, tmp_path / f"run{next(runs)}", **options)


def make_face_config(faces_dir: Path, work_dir: Path, **options: Any) -> Config:
    """Does what the fixture ``face_config`` does, for fixtures of a wider scope."""
    options = {key.replace("__", "."): value for key, value in options.items()}
    cfg = load_config(
        ROOT / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py",
        {"input_size_hw": (64, 48), **face_options(faces_dir), **options},
    )
    cfg.model.backbone.arch = TINIEST_ARCH
    cfg.work_dir = str(work_dir)
    cfg.launcher = "none"
    # Runners of one process share loggers and visualizers by name, made of the time in seconds.
    cfg.experiment_name = work_dir.as_posix()
    return cfg


BARE = {"custom_hooks": [], "visualizer__vis_backends": []}
"""Options of a run that draws and shows nothing."""


@pytest.fixture
def count_calls() -> Callable[..., list[int]]:
    """Counts how often each of some modules computes: a list that grows as they do."""

    def count(modules: Iterable[nn.Module]) -> list[int]:
        calls: list[int] = []
        for index, module in enumerate(modules):
            calls.append(0)

            def add(*_: Any, index: int = index) -> None:
                calls[index] += 1

            module.register_forward_pre_hook(add)
        return calls

    return count


TINIEST_ARCH = {"embed_dims": 48, "num_layers": 2, "num_heads": 3, "feedforward_channels": 96}


def face_options(faces_dir: Path) -> dict[str, Any]:
    """Overrides that make the demo's config train on ``faces_dir`` within seconds."""
    options: dict[str, Any] = {
        "train_cfg.max_epochs": 2,
        "train_cfg.val_interval": 2,
        "param_scheduler.0.end": 2,
        "default_hooks.logger.interval": 1,
        "model.decode_head.deconv_out_channels": (32, 32),
        "model.decode_head.conv_out_channels": (32,),
    }
    for split in ("train", "val", "test"):
        loader = f"{split}_dataloader"
        options |= {
            f"{loader}.dataset.data_root": str(faces_dir),
            f"{loader}.dataset.val_ratio": 0.25,
            f"{loader}.batch_size": 4,
            f"{loader}.num_workers": 0,
            f"{loader}.persistent_workers": False,
        }
    return options


CLASSES = ("Background", "Left_eye", "Right_eye", "Nose")
PAIRS = (("Left_eye", "Right_eye"),)


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    """Makes a loaded sample of random pixels, with further fields given by keyword."""

    def make(size_hw: tuple[int, int] = (40, 30), seed: int = 0, **fields) -> Sample:
        rng = np.random.default_rng(seed)
        return {
            "img_path": "face.png",
            "sample_idx": 3,
            "metainfo": {"classes": CLASSES, "flip_pairs": PAIRS, "ignore_index": 255},
            "rng": np.random.default_rng([seed, 0, 3]),
            "img": rng.integers(0, 256, (*size_hw, 3), dtype=np.uint8),
            "seg_map": rng.integers(0, len(CLASSES), size_hw, dtype=np.uint8),
            "ori_size_hw": size_hw,
            "size_hw": size_hw,
            "matrix": geometry.identity(),
            "flip": False,
            **fields,
        }

    return make
