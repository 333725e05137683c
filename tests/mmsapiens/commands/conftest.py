"""Command lines are tested as their users run them: as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess]


def run_verb(cwd: Path, verb: str, *args: object, **env: str) -> subprocess.CompletedProcess:
    """Runs ``mmsapiens VERB ARGS`` in a folder; returns the completed process."""
    return subprocess.run(
        [sys.executable, "-m", "mmsapiens", verb, *map(str, args)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """:func:`run_verb` in the test's own empty folder."""
    return partial(run_verb, tmp_path)
