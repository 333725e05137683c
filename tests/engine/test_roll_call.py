"""Before a run, ranks that are missing or differ are named by host."""

import multiprocessing
import os
import socket
import time

import pytest
import torch

from engine import roll_call
from engine.errors import ConfigError, ProcessError
from engine.roll_call import Report, _call, _hosts, call_roll

REPORT = Report("a", "gpu, 80 GiB", "550.1", "2.13", "c0ffee", 70.0)


def run_rank(queue, rank, reports, seconds, port):
    env = {
        "RANK": rank,
        "WORLD_SIZE": len(reports),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    os.environ.update({name: str(value) for name, value in env.items()})
    try:
        queue.put((rank, _call(reports[rank], seconds)))
    except ProcessError as error:
        queue.put((rank, str(error)))


@pytest.fixture
def answers(monkeypatch):
    """What each rank that comes is told, by rank; a report of None is of one that does not come."""
    for name in ("SLURM_PROCID", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)

    def call(reports, seconds=20.0):
        fork = multiprocessing.get_context("fork")
        queue = fork.Queue()
        present = [rank for rank, report in enumerate(reports) if report is not None]
        with socket.socket() as sock:  # bound, so that no other program is given the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", 0))
            arguments = [(queue, r, reports, seconds, sock.getsockname()[1]) for r in present]
            processes = [fork.Process(target=run_rank, args=words) for words in arguments]
            for process in processes:
                process.start()
            found = dict(queue.get(timeout=60) for _ in present)
            for process in processes:
                process.join()
        return found

    return call


def test_all_ranks_learn_who_is_there(answers):
    reports = [REPORT, REPORT._replace(host="b", free=60.5)]
    assert answers(reports) == {0: reports, 1: reports}


@pytest.mark.parametrize(
    "field, name",
    [("device", "device"), ("driver", "driver"), ("torch", "PyTorch"), ("config",) * 2],
)
def test_a_rank_that_differs_is_named_by_its_host_on_all(answers, field, name):
    odd = REPORT._replace(host="b", **{field: "other"})
    found = answers([REPORT, odd, REPORT])
    sentence = f"b (rank 1): {name} other, the others have {getattr(REPORT, field)}."
    assert all(text.startswith(sentence) for text in found.values())
    assert len(found) == 3


def test_a_rank_that_does_not_come_is_named_by_its_host(answers, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # as torchrun tells
    start = time.monotonic()
    found = answers([REPORT, REPORT, REPORT._replace(host="b"), None], seconds=1.0)
    assert found.keys() == {0, 1, 2} and time.monotonic() - start < 10
    assert all(text.startswith("b (rank 3) did not answer within 1 s") for text in found.values())


def test_without_the_first_rank_the_others_say_so(answers):
    (text,) = answers([None, REPORT], seconds=1.0).values()
    assert text.startswith("Rank 0 did not answer at 127.0.0.1, port ")


def test_slurm_knows_the_hosts_of_silent_ranks(tmp_path, monkeypatch):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$3" = "n[1-3]" ] && printf "n1\\nn2\\nn3\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    values = {"PROCID": "0", "STEP_NODELIST": "n[1-3]", "STEP_TASKS_PER_NODE": "2(x2),1"}
    for name, value in values.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert list(_hosts({}, 5).values()) == ["n1", "n1", "n2", "n2", "n3"]


def test_machines_of_which_nobody_has_come_are_counted(monkeypatch):
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert _hosts({0: REPORT}, 4) == {0: "a", 1: "a", 2: "machine 2 of 2", 3: "machine 2 of 2"}


@pytest.mark.parametrize("seconds", ["10", 0, -1])
def test_the_time_is_seconds(seconds):
    with pytest.raises(ConfigError, match=r"check_timeout: expected seconds.* or None"):
        call_roll({}, {"check_timeout": seconds})


def test_no_roll_call_and_what_a_rank_reports(monkeypatch):
    assert call_roll({}, {"check_timeout": None}) == []
    monkeypatch.setattr(roll_call, "_call", lambda report, seconds: [report, seconds])
    here, seconds = call_roll({"lr": 1, "f": run_rank}, {})
    again, _ = call_roll({"lr": 1, "f": run_rank}, {})
    other, _ = call_roll({"lr": 2, "f": run_rank}, {})
    assert seconds == 60 and here.host == socket.gethostname()
    assert here.torch == torch.__version__ and here.free > 0
    assert here.config == again.config != other.config
    assert here.host in str(here) and here.config in str(here)
