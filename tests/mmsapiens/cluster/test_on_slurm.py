"""Jobs on a real Slurm of two nodes, where one answers."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import ConfigError
from mmsapiens.cli import dispatch
from tests import processes
from tests.conftest import ROOT, TINIEST_ARCH
from tests.engine.test_resume import assert_same_state, command
from tests.test_docs import BLOCK

LIMIT = 180


def slurm(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def answers():
    """Whether jobs of two nodes can be submitted here."""
    if not shutil.which("sbatch"):
        return False
    states = slurm("sinfo", "--noheader", "--Node", "--format", "%N %T")
    return len(set(re.findall(r"^(\S+) (?:idle|mixed|allocated)$", states, re.M))) >= 2


pytestmark = pytest.mark.skipif(
    not answers(), reason="there is no Slurm with two nodes here (sbatch, sinfo)"
)


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    values = {"NUM_NODES": "2", "DEVICES": "cpu", "TASKS_PER_NODE": "1", "CPUS_PER_TASK": "1"}
    values |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "OUTPUT_DIR": str(tmp_path / "out")}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


class Submitted:
    """A job of the test, from outside."""

    def __init__(self, out_dir):
        (self.folder,) = out_dir.glob("slurm/*")
        (self.job,) = json.loads((self.folder / "jobs.json").read_text())

    @property
    def log(self):
        path = self.folder / f"{self.job}_0_log.out"
        return path.read_text(errors="replace") if path.is_file() else ""

    @property
    def outcome(self):
        path = self.folder / self.job / "outcome.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def until(self, true):
        deadline = time.monotonic() + LIMIT
        while not true():
            assert time.monotonic() < deadline and self.outcome is None, self.log[-3000:]
            time.sleep(0.05)

    def pid_of(self, rank):
        """The process that trains, not the one that records its end."""
        for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = cmdline.read_bytes().split(b"\0")
                variables = (cmdline.parent / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            trains = words[1:4] == [b"-m", b"mmsapiens", b"train"] and str(self.folder) in str(
                words
            )
            if trains and f"SLURM_PROCID={rank}".encode() in variables:
                return int(cmdline.parent.name)
        return None

    def end(self):
        """Waits for it, but not the two minutes that Slurm waits before it starts a job again."""
        deadline = time.monotonic() + LIMIT
        while self.outcome is None:
            assert time.monotonic() < deadline, self.log[-3000:]
            if slurm("squeue", "--noheader", "--jobs", self.job, "--format", "%r") == "BeginTime":
                slurm("scontrol", "update", f"JobId={self.job}", "StartTime=now+2")
            time.sleep(0.5)
        return self.outcome


def test_a_killed_rank_on_two_nodes_changes_no_bit_of_what_two_processes_train(
    faces_dir, tmp_path, capsys
):
    extra = {
        "train_cfg__max_epochs": 20, "train_cfg__val_interval": 20,
        "model__backbone__arch": TINIEST_ARCH, "train_dataloader__batch_size": 2,
        "train_dataloader__num_workers": 0,
        "train_dataloader__persistent_workers": False, "visualizer__vis_backends": [],
    }  # fmt: skip
    words = command(tmp_path / "plain", faces_dir, processes=2, **extra)
    plain = processes.Command(words, env={"OMP_NUM_THREADS": "1"})
    options = words[words.index("--cfg-options") :]
    config = words[words.index("--work-dir") - 1]
    assert dispatch(["submit", "train", config, *options]) == 0
    assert "Submitted job" in capsys.readouterr().err
    job = Submitted(tmp_path / "out")
    job.until(lambda: job.log.count("Saving checkpoint") >= 3)
    os.kill(job.pid_of(1), signal.SIGKILL)
    assert job.end() == {"exit_code": 0, "sentence": "All ranks have finished."}
    assert re.search(r"Rank 1 on n\w+ was killed by SIGKILL\. The job goes back", job.log)
    assert "resumed epoch" in job.log
    assert re.search(r"Rank 1: n\w+, cpu, PyTorch", job.log), "the roll call is in the log"
    assert plain.wait() == 0
    assert_same_state(tmp_path / "out" / "epoch_20.pth", tmp_path / "plain" / "epoch_20.pth")


def test_what_slurm_refuses_is_a_sentence(monkeypatch):
    monkeypatch.setenv("PARTITION", "none")
    trial = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
    with pytest.raises(ConfigError, match="PARTITION=none: there is no such partition"):
        dispatch(["submit", "train", trial])
    monkeypatch.delenv("PARTITION")
    with pytest.raises(ConfigError, match=r"Slurm refuses \(sbatch\): .*Invalid --time"):
        dispatch(["submit", "train", trial, "--set", "time=never"])


def test_the_page_on_clusters(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
    (block,) = [text for needs, text in BLOCK.findall(page) if "needs: Slurm -->" in needs]
    program = tmp_path / "mmsapiens"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mmsapiens "$@"\n')
    program.chmod(0o755)
    monkeypatch.delenv("OUTPUT_DIR")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-ec", block], capture_output=True, text=True, timeout=LIMIT, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.endswith("All 2 are done.\n")
    assert len(list((tmp_path / "results").glob("*_seg.npy"))) == 12
