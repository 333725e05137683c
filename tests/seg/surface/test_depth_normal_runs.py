"""Depth and normals from images on disk to files, with the configs of the demos."""

import argparse
from pathlib import Path

import numpy as np
import pytest

from engine.config import load_config
from engine.errors import ConfigError
from engine.runner import Runner
from mmsapiens.synthetic.write_geometry import write_geometry
from seg.parts.models import EncoderDecoder
from tests.conftest import ROOT, face_options
from tests.tools.conftest import run_tool
from tools.infer import average_with_mirror, build_writer

TASKS = pytest.mark.parametrize("task", ["depth", "normal"])


def config_path(task):
    return ROOT / f"configs/{task}/synthetic/sapiens_tiny_synthetic_{task}-192x144.py"


@TASKS
def test_trains_evaluates_and_writes_what_it_predicts(task, tmp_path):
    people = tmp_path / "people"
    for index in range(12):
        write_geometry(people, "train", index, what=f"{task}s", seed=0, size_hw=(64, 48))
    options = {"input_size_hw": (64, 48), **face_options(people)}
    cfg = load_config(config_path(task), options)
    cfg.merge_from_dict({"work_dir": str(tmp_path / "run"), "launcher": "none"})
    cfg.experiment_name = str(tmp_path)
    Runner.from_cfg(cfg).train()
    figure = {"depth": "RMSE", "normal": "mean_angle"}[task]
    (best,) = Path(cfg.work_dir).glob(f"best_{figure}_epoch_*.pth")
    assert list(Path(cfg.work_dir).glob("*/vis_data/vis_image/val_*.png"))

    done = run_tool(
        tmp_path, "infer.py", config_path(task), best, "--input", people / "images",
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


def arguments(**options):
    return argparse.Namespace(**{"opacity": None, "seg_dir": None, "output": "out", **options})


@pytest.mark.parametrize(
    "task, options, message",
    [
        ("depth", dict(opacity=0.5), "--opacity: DepthWriter"),
        ("normal", dict(seg_dir=Path("nowhere")), "expected a folder of masks"),
        ("depth", dict(seg_dir=Path(".")), "not that of --output"),
        ("face", dict(seg_dir=Path(".")), "--seg-dir: SegWriter takes no masks"),
    ],
)
def test_options_that_do_not_fit_the_task(task, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    face = ROOT / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"
    cfg = load_config(face if task == "face" else config_path(task))
    args = arguments(**options, output=".")
    with pytest.raises(ConfigError, match=message):
        build_writer(cfg, {"classes": (), "palette": ()}, args)


def test_flip_of_a_model_without_such_a_switch():
    with pytest.raises(ConfigError, match=r"EncoderDecoder has no flip_test.*model\.tta\.flip"):
        average_with_mirror(EncoderDecoder.__new__(EncoderDecoder))
