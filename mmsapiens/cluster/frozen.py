"""What a submission keeps, so that nothing that is edited later changes what waits in the queue."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsapiens import __version__
from mmsapiens.shipped import PACKAGE

if TYPE_CHECKING:
    from mmengine.config import Config

FOLDER = "slurm"
CONFIG, SUBMISSION, JOBS = "config.py", "submission.json", "jobs.json"
LIBRARIES = ("torch", "mmengine", "mmcv-lite", "mmcv", "numpy", "opencv-python", "submitit")
VARIABLES = (
    *("NUM_NODES", "GPUS_PER_NODE", "TASKS_PER_NODE", "CPUS_PER_TASK", "MEM", "TIME", "PARTITION"),
    *("ACCOUNT", "QOS", "CONSTRAINT", "EXCLUDE", "JOB_NAME", "CONDA_ENV", "OUTPUT_DIR", "DEVICES"),
    *("RESUME_FROM", "LOAD_FROM", "TRAIN_BATCH_SIZE_PER_GPU", "DATA_ROOT"),
    "SAPIENS_CHECKPOINT_ROOT",
)


def new_folder(out_dir: Path, make: bool = True) -> Path:
    """Makes the folder of a submission below that of its results, and returns it.

    Args:
        out_dir: Folder of the results.
        make: Whether to; if not, its path is that of the next submission of this second.
    """
    stem = time.strftime("%Y-%m-%d_%H-%M-%S")
    for num in count(1):
        path = out_dir / FOLDER / (stem if num == 1 else f"{stem}_{num}")
        if make:
            with suppress(FileExistsError):  # of another submission, which may begin just now
                path.mkdir(parents=True)
                return path
        elif not path.exists():
            return path
    raise AssertionError  # numbers do not end


def freeze(folder: Path, cfg: Config, config: str, command: Sequence[str], python: str) -> None:
    """Writes the resolved config, and what else tells how the job came about.

    Args:
        folder: Of the submission.
        cfg: Resolved: environment variables and --cfg-options are in it.
        config: Path that it was read from.
        command: As it was typed.
        python: Interpreter of the job.
    """
    cfg.dump(folder / CONFIG)
    facts = {
        "command": list(command),
        "config": str(Path(config).absolute()),
        "submitted": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "folder": str(Path.cwd()),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "git": git_state(PACKAGE),
        "python": python,
        "versions": versions(),
    }
    (folder / SUBMISSION).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Returns those of this process."""
    found = {"python": platform.python_version(), "mmsapiens": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any]:
    """Returns the commit of the code and whether it was changed since; {} outside of git."""
    commit, changes = (
        subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True)
        for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    )
    if commit.returncode:
        return {}
    return {"commit": commit.stdout.strip(), "changed": changes.stdout.split("\n")[:-1]}
