"""Rendered people in the layouts of the three datasets, and configs that train on them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from engine.config import load_config
from mmsapiens.synthetic.layouts import LAYOUTS as SYNTHETIC_LAYOUTS
from mmsapiens.synthetic.write_dataset import write_split
from tests.conftest import ROOT, TINIEST_ARCH

LAYOUTS = {"coco": "coco", "coco_wholebody": "coco_wholebody", "goliath": "goliath_pose"}
SIZE_HW = (128, 128)


@pytest.fixture(scope="session")
def people_dirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Keypoint set -> folder with three pictures to train on and one to evaluate."""
    dirs = {}
    for name, layout_name in LAYOUTS.items():
        dirs[name] = tmp_path_factory.mktemp(name)
        layout = SYNTHETIC_LAYOUTS[layout_name]
        for split, num in (("train", 3), ("val", 1)):
            list(write_split(layout, dirs[name], split, num, seed=0, size_hw=SIZE_HW))
    return dirs


@pytest.fixture
def people_json(root: Path) -> dict:
    """COCO-WholeBody's annotations of four images, without the images."""
    return json.loads((root / "tests" / "golden" / "coco_people.json").read_text())


@pytest.fixture
def pose_config(people_dirs: dict[str, Path], tmp_path: Path) -> Callable[..., Config]:
    """Loads the trial config of a keypoint set for the rendered people, small and short."""
    runs = itertools.count()

    def load(name: str, **options: Any) -> Config:
        options = {key.replace("__", "."): value for key, value in options.items()}
        path = ROOT / f"configs/pose/synthetic/sapiens_tiny_synthetic_{name}-192x144.py"
        annotations = "coco_wholebody" if name == "coco_wholebody" else "person_keypoints"
        truth = str(people_dirs[name] / f"annotations/{annotations}_val.json")
        settings: dict[str, Any] = {
            "input_size_hw": (64, 48),
            "train_cfg.max_epochs": 2,
            "train_cfg.val_interval": 2,
            "param_scheduler.0.end": 2,
            "default_hooks.logger.interval": 1,
            "model.head.deconv_out_channels": (32, 32),
            "model.head.conv_out_channels": (32,),
            "val_evaluator.ann_file": truth,
            "test_evaluator.ann_file": truth,
        }
        for split in ("train", "val", "test"):
            settings |= {
                f"{split}_dataloader.dataset.data_root": str(people_dirs[name]),
                f"{split}_dataloader.batch_size": 4,
                f"{split}_dataloader.num_workers": 0,
                f"{split}_dataloader.persistent_workers": False,
            }
        cfg = load_config(path, {**settings, **options})
        cfg.model.backbone.arch = TINIEST_ARCH
        cfg.work_dir = str(tmp_path / f"run{next(runs)}")
        cfg.launcher = "none"
        cfg.experiment_name = Path(cfg.work_dir).as_posix()
        return cfg

    return load
