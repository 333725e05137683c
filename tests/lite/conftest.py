"""Small models of this repository as exported files, and lite/ as its users run it."""

from __future__ import annotations

import json
import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from engine.config import load_config
from engine.model.base import build_model
from engine.model.layers import InstanceNormSiLU
from mmsapiens.cli import dispatch
from mmsapiens.shipped import find_config
from tests.conftest import ROOT, TINIEST_ARCH

SIZE_HW = (96, 64)
TASKS = {
    "parts": "sapiens_tiny_synthetic_parts-192x144",
    "depth": "sapiens_tiny_synthetic_depth-192x144",
    "normals": "sapiens_tiny_synthetic_normal-192x144",
    "pose": "sapiens_tiny_synthetic_coco-192x144",
    "features": "sapiens_tiny_features-256x256",
}
TOOLS = {
    "parts": "vis_seg",
    "depth": "vis_depth",
    "normals": "vis_normal",
    "pose": "vis_pose",
    "features": "extract_feature",
}
RELEASED = json.loads((ROOT / "lite/sapiens_lite/released.json").read_text())

sys.path.insert(0, str(ROOT / "lite"))


class _Plain(nn.Module):
    """Instance norm and SiLU by their formula, which can be traced."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        return F.silu((x - mean) * torch.rsqrt(var + 1e-5))


class Raw(nn.Module):
    """The part of a model that is exported."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        for part in list(model.modules()):
            for name, child in part.named_children():
                if isinstance(child, InstanceNormSiLU):
                    setattr(part, name, _Plain())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, h, w)."""
        raw = self.model.forward_tensor(images)
        return raw[-1] if isinstance(raw, tuple | list) else raw


class Exported:
    """A model of random weights: as a checkpoint with its config, and as TorchScript."""

    def __init__(self, task: str, folder: Path) -> None:
        self.task, self.config, self.checkpoint = task, TASKS[task], folder / f"{task}.pth"
        self.options = {"input_size_hw": SIZE_HW, "model.backbone.arch": TINIEST_ARCH}
        self.options["model.eval_dtype"] = "float32"
        cfg = load_config(find_config(self.config), self.options)
        init_default_scope(cfg.default_scope)
        torch.manual_seed(0)
        model = build_model(cfg.model).eval()
        for parameter in model.parameters():  # as drawn, heads say much the same everywhere
            parameter.data *= 1.5
        torch.save(model.state_dict(), self.checkpoint)
        with torch.inference_mode():
            images = torch.zeros(2, 3, *SIZE_HW)
            self.channels = Raw(model)(images).shape[1]
            with warnings.catch_warnings():  # of what is the same in every image
                warnings.simplefilter("ignore")
                self.traced = torch.jit.trace(Raw(model), images)
        self.path = self.save(folder / f"{task}.pt2")

    def metadata(self, **changes: Any) -> dict[str, Any]:
        """What the exporter writes beside the model."""
        inputs = {"size_hw": SIZE_HW, "batch": "dynamic", "normalise": "outside", "color": "rgb"}
        inputs |= {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
        found = {"format": 1, "task": self.task, "file": "torchscript", "dtype": "float32"}
        found |= {"input": inputs, "output": {"channels": self.channels}}
        found |= RELEASED["parts"]["28"] if self.task == "parts" else {}
        if self.task == "pose":
            found |= {"keypoints": RELEASED["pose"]["17"], "box_padding": 1.25}
        return {**found, **changes}

    def save(self, path: Path, **changes: Any) -> Path:
        """Writes the file with metadata, some of them changed."""
        extra = {"mmsapiens.json": json.dumps(self.metadata(**changes))}
        torch.jit.save(self.traced, str(path), _extra_files=extra)
        return path

    def infer(self, folder: Path, out_dir: Path, *words: Any, **options: Any) -> Path:
        """Predicts with the full tool, and options of its config."""
        command = ["infer", self.config, self.checkpoint, "--input", folder, "--output", out_dir]
        command += ["--num-workers", 0, "--device", "cpu", *words, "--cfg-options"]
        command += [f"{k}={v}".replace(" ", "") for k, v in (self.options | options).items()]
        assert dispatch([str(word) for word in command]) == 0
        return out_dir


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """Makes the model of a task, once."""
    folder = tmp_path_factory.mktemp("exported")
    made: dict[str, Exported] = {}

    def of(task: str) -> Exported:
        if task not in made:
            made[task] = Exported(task, folder)
        return made[task]

    return of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A larger, a lying and a smaller picture than the models take, one in a folder of its own."""
    folder = tmp_path / "in"
    rng = np.random.default_rng(0)
    for name, size_hw in {"a.jpg": (250, 170), "b.png": (110, 200), "deep/c.png": (50, 31)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        blobs = rng.integers(0, 256, (9, 7, 3), np.uint8)
        image = cv2.resize(blobs, size_hw[::-1], interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / name), image)
    return folder


@pytest.fixture
def lite(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a tool of lite/demo in this process; returns the exit code."""

    def run(tool: str, *words: Any) -> int:
        script = ROOT / f"lite/demo/{tool}.py"
        command = [script, *words, "--num_workers", 0]
        monkeypatch.setattr(sys, "argv", [str(word) for word in command])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        code = ended.value.code
        assert isinstance(code, int)
        return code

    return run
