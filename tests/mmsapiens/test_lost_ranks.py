"""What is wrong with a process group is said in one sentence, and it names the rank."""

import os
import re
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from engine.errors import ProcessError
from engine.launch import init_cpu_group
from engine.signals import LOST_RANK_EXIT_CODE
from mmsapiens import lost_ranks
from mmsapiens.lost_ranks import ranks_named
from tests.engine.test_resume import command, start, wait_for_iterations


@pytest.fixture
def first_of_two(monkeypatch):
    """The environment of the first of two ranks, and a port for them that is in use."""
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        for name, value in zip(names, ("0", "0", "2", "127.0.0.1", str(port)), strict=True):
            monkeypatch.setenv(name, value)
        yield server


def form(seconds=1.0):
    timeout = timedelta(seconds=seconds)
    with ranks_named(timeout):
        init_cpu_group("pytorch", timeout)


def test_a_taken_port(first_of_two):
    with pytest.raises(ProcessError, match=r"port \d+: another program.* MASTER_PORT to a free"):
        form()


def test_ranks_that_do_not_come(first_of_two):
    first_of_two.close()
    expected = r"The 2 processes did not meet at 127\.0\.0\.1, .* within 1 s .*1/2 clients joined"
    with pytest.raises(ProcessError, match=expected):
        form()
    assert not dist.is_initialized()


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="size of tensor a") as caught, ranks_named(None):
        torch.ones(2) + torch.ones(3)
    assert not isinstance(caught.value, ProcessError)


@pytest.mark.parametrize("me", [0, 1])
def test_silent_ranks_are_those_that_found_no_failure(monkeypatch, me):
    store = dist.HashStore()
    store.set(f"failed/{1 - me}", "")
    for rank in range(3):
        store.set(f"who/{rank}", f"process {7 + rank}")
    monkeypatch.setattr(lost_ranks, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(lost_ranks, "default_store", lambda: store)
    monkeypatch.setattr(dist, "get_rank", lambda: me)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)
    assert lost_ranks._silent_ranks() == ["Rank 2 (process 9)", "Rank 3"]
    assert store.check([f"failed/{me}"]), "the others see that this rank still runs"


def test_a_store_that_does_not_answer_is_the_first_ranks(monkeypatch):
    def fail():
        raise dist.DistNetworkError("gone")

    monkeypatch.setattr(lost_ranks, "default_store", fail)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    assert lost_ranks._silent_ranks() == ["Rank 0"]


RANK_0_STOPS = """
import os, signal
from datetime import timedelta
import torch.distributed as dist
from engine.launch import init_cpu_group
from engine.signals import LOST_RANK_EXIT_CODE
from mmsapiens import lost_ranks
lost_ranks._PATIENCE_SECONDS = 1.0
init_cpu_group("pytorch")
group = dist.new_group(timeout=timedelta(seconds=2))
pids = [None, None]
dist.all_gather_object(pids, os.getpid())
if dist.get_rank() == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
try:
    with lost_ranks.ranks_named(timedelta(seconds=2)):
        dist.barrier(group)
finally:
    os.kill(pids[0], signal.SIGKILL)
"""


def test_rank_0_is_named_if_it_is_stopped_with_what_the_ranks_know_of_each_other():
    command = [sys.executable, "-m", "mmsapiens.ranks", "2", "-c", RANK_0_STOPS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "LostRankError: Rank 0 did not answer within 2 s" in done.stderr


def ranks_of(launcher):
    """The process ids of a launcher's ranks."""
    pids = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    rank = re.compile(rb"(?:^|\0)RANK=(\d+)\0")
    return {int(rank.search(Path(f"/proc/{p}/environ").read_bytes())[1]): int(p) for p in pids}


def test_a_stopped_rank_is_named_after_the_time_that_the_config_sets(faces_dir, tmp_path):
    process = start(command(tmp_path, faces_dir, processes=2, env_cfg__dist_cfg__timeout=5))
    wait_for_iterations(process, 1)
    stopped = ranks_of(process)[1]
    os.kill(stopped, signal.SIGSTOP)
    output = ""
    for line in process.stdout:
        output += line
        if "LostRankError" in line:
            os.kill(stopped, signal.SIGCONT)  # to find that the other has gone
    process.wait(timeout=60)
    assert process.returncode == LOST_RANK_EXIT_CODE and "Traceback" not in output
    assert re.search(rf"Rank 1 \(process {stopped} on .*\) did not answer within 5 s", output)
