"""The demos: which commands they run, and what they do when one fails. make demo runs them."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config import load_config
from engine.signals import STOPPED_EXIT_CODE
from mmsapiens.cli import build_parser, dispatch
from mmsapiens.commands import demo
from mmsapiens.shipped import find_config

LOG = "mIoU: 1.0\nmIoU: 12.5\n"


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """The verbs that run, as words; they write what the next ones look for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA_ROOT", raising=False)
    ran = []

    def step(*words, seconds=None):
        words = [str(word) for word in words]
        build_parser(words[0]).parse_args(words[1:])
        ran.append(shlex.join(words))
        if words[0] == "synthesize":
            Path(words[2]).mkdir(parents=True)
        if words[0] == "train":
            run_dir = Path(words[words.index("--work-dir") + 1], "start")
            run_dir.mkdir(parents=True)
            (run_dir / "a.log").write_text(LOG)
            for name in ("best_mIoU_epoch_3.pth", "best_coco_AP_epoch_3.pth"):
                (run_dir.parent / name).touch()

    monkeypatch.setattr(demo, "step", step)
    return ran


def test_a_demo_renders_trains_and_evaluates(steps, tmp_path, capsys):
    assert dispatch(["demo"]) == 0
    config = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
    work_dir = "work_dirs/demo_face"
    assert steps == [
        "synthesize face data/synthetic_face.partial --num 640 --size 256 --overwrite",
        f"train {config} --work-dir {work_dir}",
        f"test {config} {work_dir}/best_mIoU_epoch_3.pth --work-dir {work_dir}/test "
        f"--show-dir {work_dir}/pictures",
    ]
    assert (tmp_path / "data" / "synthetic_face").is_dir()
    pictures = f"pictures:    {work_dir}/pictures (image | truth | prediction)"
    assert pictures in capsys.readouterr().out


def test_data_that_is_there_is_not_rendered_again(steps, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", "elsewhere")
    (tmp_path / "elsewhere" / "synthetic_coco").mkdir(parents=True)
    assert dispatch(["demo", "pose"]) == 0
    assert [step.split()[0] for step in steps] == ["train", "test"]


@pytest.mark.parametrize("task", demo.DEMOS)
def test_a_demo_trains_on_what_it_renders(task, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", "somewhere")
    cfg = load_config(find_config(demo.DEMOS[task].config))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == f"somewhere/{demo.DEMOS[task].data}"
    layout, *options = demo.DEMOS[task].synthesize.split()
    build_parser("synthesize").parse_args([layout, "out", *options])


def test_pretraining_is_compared(steps, monkeypatch, capsys):
    monkeypatch.setenv("LABELLED", "7")
    monkeypatch.setenv("PRETRAIN_EDGE", "64")
    monkeypatch.setenv("WORK_DIR", "mine")
    assert dispatch(["demo", "pretrain"]) == 0
    assert [step.split()[0] for step in steps] == [
        *("synthesize", "synthesize", "train", "convert", "reconstruct", "train", "train"),
    ]
    assert "--work-dir mine/mae" in steps[2] and "'input_size_hw=(64,64)'" in steps[2]
    assert "train_dataloader.dataset.indices=7" in steps[5]
    assert "checkpoint=mine/mae_clean.pth" in steps[5] and "mae_clean" not in steps[6]
    printed = capsys.readouterr().out
    assert "7 labelled people, 20 epochs" in printed and printed.count("mIoU: 12.5") == 2


@pytest.mark.parametrize("code", [3, STOPPED_EXIT_CODE])
def test_the_first_failure_ends_a_demo(code, tmp_path, monkeypatch, capsys):
    """A training that something else stopped has failed, too, though its state is saved."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "command", lambda words: [sys.executable, "-c", f"exit({code})"])
    assert dispatch(["demo", "depth"]) == code
    assert "demo depth: failed: " in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 75])
def test_a_pretraining_may_stop_on_a_signal(code, tmp_path, monkeypatch):
    ended = tmp_path / "ended"
    script = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); "
        f"time.sleep({30 if code else 0}); open({str(ended)!r}, 'w').close()"
    )
    monkeypatch.setattr(demo, "command", lambda words: [sys.executable, "-c", script])
    demo.step("train", seconds=2 if code else 30)
    assert ended.is_file() == (code == 0), "by itself, or stopped"


def test_a_pretraining_that_fails(monkeypatch):
    script = "import time; time.sleep(30)"
    monkeypatch.setattr(demo, "command", lambda words: [sys.executable, "-c", script])
    with pytest.raises(subprocess.CalledProcessError) as failed:
        demo.step("train", seconds=1)
    assert failed.value.returncode == -signal.SIGTERM
