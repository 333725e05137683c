"""What several tests of the command need."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.model.base import build_model
from mmsapiens.shipped import find_config


@pytest.fixture
def infer_command(tmp_path: Path) -> Callable[..., tuple[list[str], Path]]:
    """Makes pictures and a model; returns the command for a config, and the output folder."""

    def make(config: str, num: int = 3) -> tuple[list[str], Path]:
        rng = np.random.default_rng(0)
        (tmp_path / "in").mkdir(exist_ok=True)
        for i in range(num):
            image = rng.integers(0, 256, (70, 50, 3), np.uint8)
            cv2.imwrite(str(tmp_path / f"in/{i:02}.png"), image)
        cfg = load_config(find_config(config), {"input_size_hw": (64, 64)})
        init_default_scope(cfg.default_scope)
        torch.manual_seed(0)
        torch.save(build_model(cfg.model).state_dict(), tmp_path / "model.pth")
        out = tmp_path / "out"
        words = ["infer", config, tmp_path / "model.pth", "--input", tmp_path / "in"]
        words += ["--output", out, "--num-workers", 0, "--device", "cpu"]
        return [*map(str, words), "--cfg-options", "input_size_hw=(64,64)"], out

    return make
