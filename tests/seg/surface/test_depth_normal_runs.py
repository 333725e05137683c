"""Depth and normals from images on disk to files, with the configs of the demos."""

import math
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.errors import ConfigError, NonFiniteError
from engine.infer import Failure, build_writer, find_images, find_writer, predict_images
from engine.model.base import build_model
from engine.runner import Runner
from mmsapiens.commands.infer_masks import check_masks
from mmsapiens.synthetic.layouts import LAYOUTS
from mmsapiens.synthetic.write_dataset import write_split
from tests.conftest import ROOT, face_options
from tests.mmsapiens.commands.conftest import run_verb

TASKS = pytest.mark.parametrize("task", ["depth", "normal"])


def config_path(task):
    return ROOT / f"configs/{task}/synthetic/sapiens_tiny_synthetic_{task}-192x144.py"


def load(task, folder):
    """The config of a demo for twelve small people, and the people."""
    people = folder / "people"
    list(write_split(LAYOUTS[task], people, "train", 12, seed=0, size_hw=(64, 48)))
    options = {"input_size_hw": (64, 48), **face_options(people)}
    cfg = load_config(config_path(task), options)
    cfg.merge_from_dict({"work_dir": str(folder / "run"), "launcher": "none"})
    cfg.experiment_name = str(folder)
    return cfg, people, options


@TASKS
def test_trains_evaluates_and_writes_what_it_predicts(task, tmp_path):
    cfg, people, options = load(task, tmp_path)
    Runner.from_cfg(cfg).train()
    figure = {"depth": "RMSE", "normal": "mean_angle"}[task]
    (best,) = Path(cfg.work_dir).glob(f"best_{figure}_epoch_*.pth")
    assert list(Path(cfg.work_dir).glob("*/vis_data/vis_image/val_*.png"))

    done = run_verb(
        tmp_path, "infer", config_path(task), best, "--input", people / "images",
        "--output", "results", "--seg-dir", people / "masks", "--flip", "--cfg-options",
        *(f"{key}={value}".replace(" ", "") for key, value in options.items()),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    results = [np.load(path) for path in sorted((tmp_path / "results").glob("*.npy"))]
    assert len(results) == 12 == len(list((tmp_path / "results").glob("*.png")))
    shape = (64, 48) if task == "depth" else (64, 48, 3)
    assert all(array.shape == shape and array.dtype == np.float32 for array in results)
    if task == "normal":
        np.testing.assert_allclose(np.linalg.norm(results[0], axis=-1), 1, atol=1e-5)


@TASKS
def test_a_prediction_that_is_no_number_is_a_failure_of_its_image(task, tmp_path):
    cfg, people, _ = load(task, tmp_path)
    init_default_scope("seg")
    model = build_model(cfg.model).eval()
    images = find_images(str(people / "images"))[:3]
    assert not any(isinstance(f, Failure) for f in predict_images(model, cfg, images, 2, 0))
    model.decode_head.conv_seg.bias.data[-1] = math.nan
    failures = list(predict_images(model, cfg, images, 2, 0))
    assert [failure.image for failure in failures] == images
    assert all("NonFiniteError: NaN or infinity" in failure.reason for failure in failures)


class SpoilTarget(Hook):
    """Puts a NaN into the truth of one image, as a transform of one's own may."""

    def __init__(self, name):
        self.name = name

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        data_batch["targets"][self.name][1] = math.nan


@TASKS
def test_a_target_that_is_not_finite_stops_the_training_and_is_blamed(task, tmp_path):
    runner = Runner.from_cfg(load(task, tmp_path)[0])
    runner.register_hook(SpoilTarget(task))
    expected = r"Iteration 1: loss_\w+: the targets of the images \[1\] .* NaN.* --replay"
    with pytest.raises(NonFiniteError, match=expected):
        runner.train()


FACE = ROOT / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"


def test_an_opacity_that_nothing_has():
    cfg = load_config(config_path("depth"))
    with pytest.raises(ConfigError, match="--opacity: DepthWriter"):
        build_writer(cfg, {}, {"opacity": 0.5})


@pytest.mark.parametrize(
    "task, seg_dir, message",
    [
        ("normal", "nowhere", "expected a folder of masks"),
        ("depth", ".", "not that of --output"),
        ("face", ".", "--seg-dir: SegWriter takes no masks"),
    ],
)
def test_masks_that_do_not_fit_the_task(task, seg_dir, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load_config(FACE if task == "face" else config_path(task))
    with pytest.raises(ConfigError, match=message):
        args = Namespace(seg_dir=Path(seg_dir), output=Path("."), foreground=None)
        check_masks(args, find_writer(cfg), None)
