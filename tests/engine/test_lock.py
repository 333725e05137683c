"""Two trainings in a work directory would delete each other's checkpoints: one of them may run."""

import errno
import fcntl
import os
import signal
import socket

import pytest

from engine.errors import ProcessError
from engine.lock import LOCK_NAME, hold_work_dir
from tests.engine.test_resume import command, finish, start, wait_for_iterations


def sign(folder, host, pid, job=""):
    """Writes a lock as another process does."""
    path = folder / LOCK_NAME
    path.write_text(f"{host}\n{pid}\n2026-01-01 00:00:00\n{job}\n")
    return path


def test_a_second_training_leaves_the_first_alone_and_a_killed_one_is_followed(faces_dir, tmp_path):
    first = start(command(tmp_path, faces_dir))
    wait_for_iterations(first, 1)
    os.kill(first.pid, signal.SIGSTOP)  # so that it does not end meanwhile
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    output = finish(start(command(tmp_path, faces_dir, train_cfg__max_epochs=9)), code=2)
    assert f"another training: process {first.pid} on {socket.gethostname()}" in output
    assert "Traceback" not in output
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert str(first.pid) in (tmp_path / LOCK_NAME).read_text()
    with hold_work_dir(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_NAME).read_text()
    assert not (tmp_path / LOCK_NAME).exists()


@pytest.mark.parametrize("end", [None, KeyboardInterrupt, SystemExit, ValueError])
def test_every_end_gives_the_folder_back(end, tmp_path):
    def train():
        with hold_work_dir(tmp_path):
            with pytest.raises(ProcessError, match=f"process {os.getpid()} on .*Wait for its end"):
                train()
            if end is not None:
                raise end

    if end is None:
        train()
    else:
        with pytest.raises(end):
            train()
    assert not list(tmp_path.iterdir())


def test_data_workers_that_outlive_a_killed_training_do_not_hold_its_folder(tmp_path):
    read, write = os.pipe()
    training = os.fork()
    if not training:
        with hold_work_dir(tmp_path):
            worker = os.fork()
            if worker:
                os.write(write, str(worker).encode())
            signal.pause()
    worker = int(os.read(read, 100))
    try:
        os.kill(training, signal.SIGKILL)
        os.waitpid(training, 0)
        with hold_work_dir(tmp_path):
            assert str(os.getpid()) in (tmp_path / LOCK_NAME).read_text()
    finally:
        os.kill(worker, signal.SIGKILL)
        os.close(read)
        os.close(write)


def test_the_same_slurm_job_started_again_elsewhere_goes_on(tmp_path, monkeypatch):
    sign(tmp_path, "elsewhere", 7, job="123")
    monkeypatch.setenv("SLURM_JOB_ID", "124")
    with pytest.raises(ProcessError, match="elsewhere"), hold_work_dir(tmp_path):
        pass
    monkeypatch.setenv("SLURM_JOB_ID", "123")
    with hold_work_dir(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text().splitlines()[-1] == "123"


def test_where_there_are_no_locks_a_process_counts_as_long_as_it_lives(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")  # as some network file systems say

    monkeypatch.setattr(fcntl, "flock", flock)
    path = sign(tmp_path, socket.gethostname(), os.getppid())
    with pytest.raises(ProcessError, match=f"If it has ended, delete {path}"):
        hold_work_dir(tmp_path).__enter__()
    ended = os.fork() or os._exit(0)
    os.waitpid(ended, 0)
    sign(tmp_path, socket.gethostname(), ended)
    with hold_work_dir(tmp_path):
        assert path.read_text().splitlines()[1] == str(os.getpid())


def test_a_lock_that_somebody_deleted_and_another_took_is_left_to_them(tmp_path):
    path = tmp_path / LOCK_NAME
    with hold_work_dir(tmp_path):
        path.unlink()
        path.write_text("theirs")
    assert path.read_text() == "theirs"


@pytest.mark.parametrize("content", ["", "half a"])
def test_a_lock_that_was_cut_short_is_stale(content, tmp_path):
    (tmp_path / LOCK_NAME).write_text(content)
    with hold_work_dir(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_NAME).read_text()
