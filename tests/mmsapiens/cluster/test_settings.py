"""What the environment says of a job."""

import os
import sys
from pathlib import Path

import pytest

from engine.errors import ConfigError
from mmsapiens.cluster.interpreter import find_python
from mmsapiens.cluster.settings import minutes, read_settings


def test_the_defaults():
    found = read_settings({})
    assert (found.nodes, found.tasks_per_node, found.on_cpu, found.time_min) == (4, 8, False, None)
    assert found.options == {"job_name": "mmsapiens", "gpus_per_node": 8}


def test_every_variable_acts():
    environ = {
        "NUM_NODES": "2", "GPUS_PER_NODE": "4", "CPUS_PER_TASK": "16", "MEM": "200G",
        "TIME": "1-12:00:00", "PARTITION": "a100", "ACCOUNT": "lab", "QOS": "low",
        "CONSTRAINT": "ib", "EXCLUDE": "n[3-4]", "JOB_NAME": "faces", "CONDA_ENV": "env",
        "OUTPUT_DIR": "out", "RESUME_FROM": "auto", "LOAD_FROM": "w.pth",
        "TRAIN_BATCH_SIZE_PER_GPU": "6", "mode": "debug",
    }  # fmt: skip
    found = read_settings(environ, ["gres=gpu:a100:4", "--mail-type=END", "exclusive"])
    assert found._replace(options={}) == (
        2, 4, False, 36 * 60, {}, "env", True, "out", "auto", "w.pth", 6
    )  # fmt: skip
    assert found.options == {
        "mem": "200G", "partition": "a100", "account": "lab", "qos": "low", "constraint": "ib",
        "exclude": "n[3-4]", "job_name": "faces", "cpus_per_task": 16,
        "gres": "gpu:a100:4", "mail_type": "END", "exclusive": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "option",
    ["gres=gpu:a100:8", "gres=nvme:1,gpu:8", "gpus-per-node=a100:8", "gpus=32", "gpus-per-task=1"],
)
def test_slurm_is_asked_for_gpus_once(option):
    """It refuses a number of GPUs with a type beside one without."""
    options = read_settings({}, [option]).options
    name, _, value = option.replace("-", "_").partition("=")
    assert options == {"job_name": "mmsapiens", name: value}


@pytest.mark.parametrize(
    "option, sentence",
    [
        ("gres=gpu:a100:4", "GPUS_PER_NODE, which is 8. Set it to 4, too"),
        ("gres=gpu", "Set it to 1, too"),
        ("gpus-per-node=h100:2", "Set it to 2, too"),
        ("signal=USR1@600", "ranks save on USR2 or TERM; expected such as USR2@600"),
        ("signal=B:USR2@600", "ranks save on USR2 or TERM"),
        ("nodes=2", "--set nodes=2: NUM_NODES says this"),
        ("ntasks-per-node=2", "GPUS_PER_NODE, or TASKS_PER_NODE with DEVICES=cpu, says this"),
    ],
)
def test_what_the_job_relies_on_has_one_place(option, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read_settings({}, [option])


@pytest.mark.parametrize("devices", ["cpu", ""])
def test_machines_without_gpus(devices):
    found = read_settings({"DEVICES": devices, "TASKS_PER_NODE": "3", "GPUS_PER_NODE": "8"})
    assert (found.on_cpu, found.tasks_per_node) == (True, 3)
    assert "gpus_per_node" not in found.options


def test_a_share_of_an_inference_is_one_process():
    found = read_settings({"NUM_NODES": "4", "GPUS_PER_NODE": "8"}, single=True)
    assert (found.nodes, found.tasks_per_node, found.options["gpus_per_node"]) == (1, 1, 1)


def test_all_that_cannot_be_is_said_at_once():
    environ = {"NUM_NODES": "0", "DEVICES": "0,1", "TIME": "soon", "MODE": "gpu"}
    with pytest.raises(ConfigError) as caught:
        read_settings(environ, ["output=a", "=3"])
    text = str(caught.value)
    for part in ("6 errors", "NUM_NODES=0: expected a whole", "DEVICES=0,1: Slurm chooses"):
        assert part in text
    for part in ("TIME=soon: expected", "MODE=gpu: expected", "--set output=a: the job sets"):
        assert part in text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("90", 90), ("90:30", 91), ("02:00:00", 120), ("0:00:01", 1),
        ("7-00:00:00", 7 * 1440), ("1-12", 36 * 60), ("1-00:30", 1470),
    ],
)  # fmt: skip
def test_time_limits_in_all_forms_of_slurm(text, expected):
    assert minutes(text) == expected


def make_env(folder: Path, script: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return python


def test_environments_by_name_and_path(tmp_path, monkeypatch):
    conda = tmp_path / "conda"
    python = make_env(conda / "envs" / "sapiens", "exit 0")
    listed = make_env(tmp_path / "far" / "other", "exit 0")
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda" / "environments.txt").write_text(f"{listed.parents[1]}\n")
    environ = {"CONDA_EXE": str(conda / "bin" / "conda"), "HOME": str(tmp_path)}
    assert find_python("", environ) == sys.executable
    assert find_python("sapiens", environ) == str(python)
    assert find_python("other", environ) == str(listed)
    assert find_python(str(python.parents[1]), {}) == str(python)
    base = make_env(conda, "exit 0")
    assert find_python("base", environ) == str(base)
    monkeypatch.chdir(tmp_path)
    Path("sapiens").mkdir()  # no environment, but the code, say
    assert find_python("sapiens", environ) == str(python)
    assert find_python(f"{python.parent}{os.sep}activate", {}) == str(python)
    with pytest.raises(ConfigError, match=r"CONDA_ENV=sapiesn: there is no such.*envs/sapiesn"):
        find_python("sapiesn", environ)


def test_an_environment_without_this_project(tmp_path):
    make_env(tmp_path / "env", "echo ModuleNotFoundError: none >&2; exit 1")
    with pytest.raises(ConfigError, match=r"cannot run this project \(ModuleNotFoundError: none\)"):
        find_python(str(tmp_path / "env"), {})
