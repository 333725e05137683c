"""The scripts for photos, with the release's variables."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.model.base import build_model
from mmsapiens.shipped import find_config
from mmsapiens.zoo import find
from tests.conftest import ROOT, TINIEST_ARCH

WHAT = {
    "seg": ("parts", ["a.npy", "a.png", "a_seg.npy"]),
    "depth": ("depth", ["a.npy", "a.png"]),
    "normal": ("normal", ["a.npy", "a.png"]),
    "pretrain": ("pretrain", ["a.npy", "a_attention.png"]),
    "keypoints17": ("pose-17", ["a.jpg", "a.json"]),
    "keypoints133": ("pose-133", ["a.jpg", "a.json"]),
    "keypoints308": ("pose-308", ["a.jpg", "a.json"]),
    "keypoints17_openpose": ("pose-17", ["a.json", "a.png"]),
    "keypoints133_openpose": ("pose-133", ["a.json", "a.png"]),
}
HEAD = {"deconv_out_channels": (8, 8), "deconv_kernel_sizes": (4, 4)}
HEAD |= {"conv_out_channels": (8,), "conv_kernel_sizes": (1,)}


def small(name):
    options = {"input_size_hw": (64, 64), "model.backbone.arch": TINIEST_ARCH}
    part = {"pretrain": None, "pose": "head"}.get(find(name).task, "decode_head")
    return options | ({f"model.{part}.{key}": value for key, value in HEAD.items()} if part else {})


@pytest.fixture
def run(tmp_path):
    """Runs a script on one photo with a tiny model of random weights."""
    (tmp_path / "in").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "in/a.jpeg"), image)

    def start(script, *words, **variables):
        name = f"sapiens-0.3b-{WHAT[script][0]}"
        cfg = load_config(find_config(find(name).config), small(name))
        init_default_scope(cfg.default_scope)
        torch.save(build_model(cfg.model).state_dict(), tmp_path / "model.pth")
        options = [f"{key}={value}".replace(" ", "") for key, value in small(name).items()]
        env = {"INPUT": tmp_path / "in", "OUTPUT": tmp_path / "out", "OMP_NUM_THREADS": 1}
        env |= {"MODEL_NAME": "sapiens_0.3b", "CHECKPOINT": tmp_path / "model.pth"}
        env |= {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": "", **variables}
        env = {**os.environ, **{key: str(value) for key, value in env.items()}}
        command = [ROOT / f"scripts/demo/{script}.sh", *words, "--cfg-options", *options]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)

    return start


@pytest.mark.parametrize("script", WHAT)
def test_each_script_hands_its_task_on(script):
    text = (ROOT / f"scripts/demo/{script}.sh").read_text()
    what, *options = text.partition('infer.sh" ')[2].split()
    assert what == WHAT[script][0] and find(f"sapiens-0.3b-{what}")
    assert ("--style openpose" in " ".join(options)) == script.endswith("openpose")


# The others differ from one of these by the name that they hand on.
@pytest.mark.parametrize("script", ["pretrain", "keypoints17_openpose"])
def test_results_are_below_the_models_name(run, tmp_path, script):
    done = run(script, KPT_THRES=0.1, RADIUS=2, LINE_THICKNESS=1, BATCH_SIZE=2)
    assert done.returncode == 0, done.stderr[-2000:]
    out = tmp_path / "out/sapiens_0.3b"
    names = sorted(p.name for p in out.iterdir() if not p.name.startswith("."))
    assert [name for name in names if name.startswith("a")] == WHAT[script][1]
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["a.jpeg"]


def test_masks_of_one_script_go_into_another(run, tmp_path):
    assert run("seg").returncode == 0
    (tmp_path / "out/sapiens_0.3b").rename(tmp_path / "masks")
    assert sorted(p.name for p in (tmp_path / "masks").glob("a*")) == WHAT["seg"][1]
    assert run("depth", SEG_DIR=tmp_path / "masks").returncode == 0


def test_exit_codes_are_kept(run, tmp_path):
    (tmp_path / "in/b.jpg").write_bytes(b"no image")
    done = run("seg", TOTAL_GPUS=2)
    assert done.returncode == 1 and "b.jpg" in done.stderr and "1 of 2 images done" in done.stdout
    done = run("seg", VALID_GPU_IDS="0 1", TOTAL_GPUS=3)
    assert done.returncode == 2 and "VALID_GPU_IDS are 0 1" in done.stderr
    done = run("seg", INPUT="")
    assert done.returncode == 2 and "JOBS_PER_GPU" in done.stdout


def test_a_checkpoint_goes_with_the_config_beside_it_or_that_which_is_given(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] || printf "%s " "$@"\n')
    python.chmod(0o755)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.py").touch()

    def words(**variables):
        env = {**os.environ, "PYTHON": str(python), "INPUT": "a", "VALID_GPU_IDS": "0", **variables}
        script = [ROOT / "scripts/demo/seg.sh"]
        return subprocess.run(script, env=env, capture_output=True, text=True, check=True).stdout

    own = str(tmp_path / "run/best.pth")
    assert f" infer {own} --input a " in words(CHECKPOINT=own)
    assert f" infer mine.py {own} --input a " in words(CHECKPOINT=own, CONFIG="mine.py")
    assert " infer sapiens-1b-parts --input a " in words()
