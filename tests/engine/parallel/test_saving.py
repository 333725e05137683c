"""Folders that are written while a training goes on: as they were when it asked, or not at all."""

import os
import signal
import threading
import traceback

import pytest
import torch
import torch.distributed as dist

from engine.checkpoint import latest_checkpoint, read_sharded
from engine.errors import OutputError
from engine.parallel import saving
from tests.processes import LIBRARIES

BLOCKING = 5.0  # seconds, of what must not be waited for


def state(value, iteration, size=8, **meta):
    """A checkpoint of one tensor."""
    return {"state_dict": {"w": torch.full((size,), value)}, "meta": {"iter": iteration, **meta}}


def read(path):
    """Its number, and its meta."""
    found = read_sharded(path)
    return found["state_dict"]["w"].unique().tolist(), found["meta"]


def keeps_what_it_was_given(rank, folder):
    """The training changes its weights at once."""
    saver, given = saving.Saver(), state(1.0, 1, size=1 << 22)
    saver.save(given, folder / "epoch_1.dcp")
    given["state_dict"]["w"].zero_()
    saver.wait()
    assert read(folder / "epoch_1.dcp") == ([1.0], {"iter": 1})


def says_of_a_checkpoint_that_it_was_evaluated_without_waiting(rank, folder):
    saver, gate, waited = saving.Saver(), threading.Event(), []
    epoch, best = folder / "epoch_1.dcp", folder / "best_epoch_1.dcp"
    saver.save(state(1.0, 1), epoch)
    saver.save(state(1.0, 1), best, then=lambda: waited.append(gate.wait(BLOCKING)))
    saver.save(state(1.0, 1, evaluated=True), epoch)
    if rank == 0:
        assert read(epoch)[1] == {"iter": 1}, "not before the best one is there"
    dist.barrier()
    gate.set()
    saver.wait()
    assert read(epoch) == ([1.0], {"iter": 1, "evaluated": True})
    assert waited == [True] * (rank == 0), "the training has gone on"


def says_on_all_ranks_that_it_cannot_write(rank, folder):
    def full():
        raise OSError("No space left on device")

    saver = saving.Saver()
    saver.save(state(1.0, 1), folder / "epoch_1.dcp", then=full)
    with pytest.raises(OutputError, match=r"epoch_1\.dcp could not be written \(No space left"):
        saver.wait()
    saver.save(state(2.0, 2), folder / "epoch_1.dcp")
    saver.wait()
    assert read(folder / "epoch_1.dcp") == ([2.0], {"iter": 2})


def takes_a_lost_rank_for_no_full_disk(rank, folder):
    """The second one ends as it begins to write."""
    saver = saving.Saver()
    if rank == 1:
        saving.dcp.async_save = lambda *_, **__: os._exit(0)  # which nobody ends the other for
    saver.save(state(1.0, 1), folder / "epoch_1.dcp")
    with pytest.raises(RuntimeError, match="/gloo/"):  # of which the command names the rank
        saver.wait()
    assert not (folder / "epoch_1.dcp").exists()


def is_killed_while_it_writes(rank, folder):
    saver = saving.Saver()
    saver.save(state(1.0, 1), folder / "epoch_1.dcp")
    saver.save(state(2.0, 2, size=1 << 24), folder / "epoch_2.dcp")
    os.kill(os.getpid(), signal.SIGKILL)


ACTS = {
    act.__name__: act
    for act in (
        keeps_what_it_was_given,
        says_of_a_checkpoint_that_it_was_evaluated_without_waiting,
        says_on_all_ranks_that_it_cannot_write,
        takes_a_lost_rank_for_no_full_disk,  # the last: one is gone then
    )
}


def run_rank(rank, acts, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for act in acts:
        place = folder / act.__name__
        place.mkdir(exist_ok=True)
        try:
            act(rank, place)
        except Exception:
            (place / f"failed_{rank}").write_text(traceback.format_exc())
            return  # and the other learns that this one is lost


def on_two_ranks(acts, folder):
    torch.multiprocessing.get_context("forkserver").set_forkserver_preload(LIBRARIES)
    torch.multiprocessing.start_processes(
        run_rank, (acts, folder), nprocs=2, start_method="forkserver"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saving")
    on_two_ranks(list(ACTS.values()), folder)
    return folder


@pytest.mark.parametrize("name", ACTS)
def test_a_saver(name, folder):
    assert (folder / name).is_dir()
    assert not [path.read_text() for path in (folder / name).glob("failed_*")]


def test_of_what_was_killed_the_one_before_is_left(tmp_path):
    with pytest.raises(torch.multiprocessing.ProcessExitedException, match="SIGKILL"):
        on_two_ranks([is_killed_while_it_writes], tmp_path)
    place = tmp_path / is_killed_while_it_writes.__name__
    assert latest_checkpoint(place) == str(place / "epoch_1.dcp")
    assert read(place / "epoch_1.dcp") == ([1.0], {"iter": 1})
