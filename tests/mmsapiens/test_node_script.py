"""scripts/node.sh: what it starts, for every way to name devices; python is replaced by an echo."""

import os
import subprocess

import pytest


@pytest.fixture
def node(root, tmp_path):
    """Runs the script with an interpreter that prints its arguments; returns them and the code.

    Asked what GPUs there are, it prints $THERE.
    """
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\n[ "$1" != -c ] || { echo "$THERE"; exit 0; }\n'
        'echo "gpus=$CUDA_VISIBLE_DEVICES"\nprintf "%s\\n" "$@"\nexit 7\n'
    )
    python.chmod(0o755)

    def run(*args, **env):
        done = subprocess.run(
            [root / "scripts" / "node.sh", *args],
            env={**os.environ, "PYTHON": str(python), **env},
            capture_output=True,
            text=True,
        )
        return done.stdout.split("\n"), done.returncode

    return run


@pytest.mark.parametrize("devices, count", [("0,1", 2), ("10,11", 2), ("0,1,2,", 3)])
def test_one_process_a_device(node, devices, count):
    args, code = node("my config.py", DEVICES=devices)
    assert args[0] == f"gpus={devices}"
    assert args[1:7] == ["-m", "mmsapiens.ranks", str(count), "-m", "mmsapiens", "train"]
    assert args[args.index("--launcher") + 1] == "pytorch"
    assert "my config.py" in args
    assert code == 7, "the exit code is the training's"


@pytest.mark.parametrize("devices", ["0", "11", ""])
def test_one_device_or_none_is_one_plain_process(node, devices):
    args, _ = node("config.py", DEVICES=devices)
    assert args[0] == f"gpus={devices}"
    assert "mmsapiens.ranks" not in args and "--launcher" not in args


def test_the_environment_becomes_arguments(node):
    args, _ = node(
        "config.py", "--seed", "1",
        DEVICES="0", TRAIN_BATCH_SIZE_PER_GPU="4", OUTPUT_DIR="out dir", LOAD_FROM="w.pth",
    )  # fmt: skip
    assert args[args.index("--work-dir") + 1] == "out dir"
    assert args[args.index("--load-from") + 1] == "w.pth"
    assert args[args.index("--seed") + 1] == "1"
    assert args[args.index("--cfg-options") + 1] == "train_dataloader.batch_size=4"


@pytest.mark.parametrize(
    "value, expected", [("auto", ["--resume"]), ("e.pth", ["--resume", "e.pth"])]
)
@pytest.mark.parametrize("name", ["MODE", "mode"])
def test_debug_mode_keeps_the_checkpoint(node, name, value, expected):
    args, _ = node("config.py", DEVICES="0,1", RESUME_FROM=value, **{name: "debug"})
    start = args.index("--resume")
    assert args[start : start + len(expected)] == expected
    assert "mmsapiens.ranks" not in args
    assert "--debug" in args


def test_gpus_that_are_already_chosen_are_kept(node):
    args, _ = node("config.py", CUDA_VISIBLE_DEVICES="4,5")
    assert args[0] == "gpus=4,5"
    assert args[args.index("mmsapiens.ranks") + 1] == "2"


@pytest.mark.parametrize("chosen, count", [({}, 2), ({"CUDA_VISIBLE_DEVICES": ""}, 0)])
def test_all_gpus_are_used_unless_none_is_visible(node, monkeypatch, chosen, count):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    args, _ = node("config.py", THERE="0,1", **chosen)
    assert args[0] == ("gpus=0,1" if count else "gpus=")
    assert ("mmsapiens.ranks" in args) == bool(count)


@pytest.mark.parametrize("name", ["MODE", "mode"])
def test_unknown_mode(node, name):
    assert node("config.py", DEVICES="", **{name: "gpu"})[1] == 2
