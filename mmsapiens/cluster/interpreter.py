"""The Python that a job runs in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from engine.errors import ConfigError

NEEDED = "import mmsapiens, submitit"


def find_python(conda_env: str, environ: Mapping[str, str]) -> str:
    """Returns the interpreter of an environment, or without one that of this process.

    Args:
        conda_env: Name of a conda environment, or the path of one, of its ``bin/activate``, or of
            any virtual environment.
        environ: Where conda says where its environments are.

    Raises:
        ConfigError: If there is no such environment, or this project is not installed there.
    """
    if not conda_env:
        return sys.executable
    folders = list(_candidates(conda_env, environ))
    for folder in folders:
        python = folder / "bin" / "python"
        if os.access(python, os.X_OK):
            _check(conda_env, python)
            return str(python)
    looked = ", ".join(map(str, folders)) or "nowhere: conda is not to be found"
    raise ConfigError(
        f"CONDA_ENV={conda_env}: there is no such environment (looked for bin/python in {looked}). "
        "Give its path, or leave CONDA_ENV unset for the environment that submits."
    )


def _candidates(conda_env: str, environ: Mapping[str, str]) -> Iterator[Path]:
    path = Path(conda_env).expanduser()
    if len(path.parts) > 1 or path.exists():
        is_activate = path.name == "activate" and path.parent.name == "bin"
        yield (path.parents[1] if is_activate else path).absolute()
    if len(path.parts) > 1:
        return
    for folder in environ.get("CONDA_ENVS_PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder, conda_env)
    for name, levels in (("CONDA_EXE", 1), ("MAMBA_EXE", 1)):
        if environ.get(name):
            root = Path(environ[name]).parents[levels]
            yield root if conda_env == "base" else root / "envs" / conda_env
    listed = Path(environ.get("HOME", "~")).expanduser() / ".conda" / "environments.txt"
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8").splitlines():
            if Path(line.strip()).name == conda_env:
                yield Path(line.strip())


def _check(conda_env: str, python: Path) -> None:
    done = subprocess.run([python, "-c", NEEDED], capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it does not start"])[-1]
        raise ConfigError(
            f"CONDA_ENV={conda_env}: {python} cannot run this project ({reason}). Install it "
            "there: pip install mmsapiens."
        )
