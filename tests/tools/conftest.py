"""Command lines are tested as their users run them: as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT

Run = Callable[..., subprocess.CompletedProcess]


def run_tool(cwd: Path, name: str, *args: object, **env: str) -> subprocess.CompletedProcess:
    """Runs ``python tools/NAME ARGS`` in a folder; returns the completed process."""
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / name), *map(str, args)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env},
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """:func:`run_tool` in the test's own empty folder."""
    return partial(run_tool, tmp_path)
