"""Jobs as they are seen from where they were submitted."""

import json
import os

import pytest

from engine.errors import ConfigError
from mmsapiens.cli import dispatch
from mmsapiens.cluster import follow


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A squeue that answers with the lines of a file, one a question."""
    lines, program = tmp_path / "lines", tmp_path / "bin" / "squeue"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nhead -n 1 {lines}; sed -i 1d {lines}\n")
    program.chmod(0o755)
    lines.write_text("")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(follow, "LOG_SECONDS", 0)
    monkeypatch.setattr(follow, "QUEUE_SECONDS", 0)
    return lines


def submitted(tmp_path, ends):
    """The folder of a submission, of jobs with these ends: exit code and sentence, or none yet."""
    folder = tmp_path / "out" / "slurm" / "2026"
    for job, end in ends.items():
        (folder / job).mkdir(parents=True)
        (folder / f"{job}_0_log.out").write_text(f"log of {job}\n")
        if end:
            text = json.dumps({"exit_code": end[0], "sentence": end[1]})
            (folder / job / "outcome.json").write_text(text)
    (folder / "jobs.json").write_text(json.dumps(list(ends)))
    return str(tmp_path / "out")


def test_the_log_and_the_exit_code_of_a_job(queue, tmp_path, capsys):
    folder = submitted(tmp_path, {"7": (2, "No data.")})
    assert dispatch(["submit", "follow", folder]) == 2
    assert capsys.readouterr().out == "log of 7\n"


def test_why_a_job_waits_and_that_it_was_cancelled(queue, tmp_path, capsys):
    queue.write_text("PENDING|Resources\nPENDING|Resources\nPENDING|Priority\nRUNNING|None\n\n")
    folder = submitted(tmp_path, {"7": None})
    assert dispatch(["submit", "follow", f"{folder}/slurm/2026"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "Job 7 waits: Resources.",
        "Job 7 waits: Priority.",
        "It has left the queue without a word, as a job that was cancelled does.",
    ]


def test_jobs_are_followed_where_slurm_is(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="There is no squeue here"):
        dispatch(["submit", "follow", submitted(tmp_path, {"7": None})])


def test_which_shares_of_an_array_failed(queue, tmp_path, capsys):
    folder = submitted(
        tmp_path, {"9_0": (0, "Done."), "9_1": (1, "No image."), "9_2": (0, "Done.")}
    )
    assert dispatch(["submit", "follow", folder]) == 1
    log = f"{folder}/slurm/2026/9_1_0_log.out"
    assert capsys.readouterr().out == f"Failed: 2/3.\n  2/3: No image. ({log})\n"
