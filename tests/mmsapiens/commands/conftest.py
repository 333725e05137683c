"""Command lines are tested as their users run them: as processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests import processes

Run = Callable[..., CompletedProcess]


def run_verb(cwd: Path, verb: str, *args: object, **env: str) -> CompletedProcess:
    """Runs ``mmsapiens VERB ARGS`` in a folder; returns the completed process."""
    return processes.run(["-m", "mmsapiens", verb, *args], cwd, env)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """:func:`run_verb` in the test's own empty folder."""
    return partial(run_verb, tmp_path)
