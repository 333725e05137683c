"""Saving sharded checkpoints while the training goes on."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from mmengine.dist import is_main_process
from torch.distributed.checkpoint import FileSystemWriter

from engine.checkpoint.sharded import STATE, split
from engine.errors import not_written
from engine.prune import remove


class Saver:
    """Writes one checkpoint at a time, each process its part, in a thread of its own.

    The training waits for the copy to the host's memory, and for the checkpoint before, if that is
    not done. A folder has its name from the moment on that all processes have written all.

    Args:
        timeout: How long processes wait for each other; None for torch's default.
    """

    def __init__(self, timeout: timedelta | None = None) -> None:
        # Its own, as collectives of a thread and of the training would meet in a common one.
        self.group = dist.new_group(backend="gloo", timeout=timeout)
        self._running: tuple[Path, Future] | None = None
        self._saved: dict[Path, int] = {}  # at which iteration

    def save(
        self, checkpoint: Mapping[str, Any], path: Path, then: Callable[[], Any] | None = None
    ) -> None:
        """Begins to write; all ranks must call it.

        The same checkpoint again, at the same iteration, changes only what is said of it: once what
        is being written is there, as that is what it says.

        Args:
            checkpoint: As of a file; the message hub and the meta of rank 0 are what is saved.
            path: The folder.
            then: Called when it is there, by rank 0, in the thread.

        Raises:
            OutputError: It, or the one before, could not be written.
        """
        iteration = checkpoint["meta"]["iter"]
        again = self._saved.get(path) == iteration
        if not again or (self._running is not None and self._running[0] == path):
            self.wait()
        tensors, rest = split(checkpoint)
        state = io.BytesIO()
        torch.save(rest, state)
        if again:
            before, running = self._running or (path, _done())
            self._running = before, _then(running, lambda: _write_state(path, state))
            return
        temporary = _temporary_of(path)
        errors: list[str | None] = [None]
        if is_main_process():
            try:
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(parents=True)
            except OSError as error:
                errors = [str(error)]
        dist.broadcast_object_list(errors, group=self.group)  # none writes before, nor waits then
        if errors[0] is not None:
            raise not_written(path, errors[0])
        done: Any = dcp.async_save(
            tensors, storage_writer=FileSystemWriter(temporary), process_group=self.group
        )
        self._saved[path] = iteration
        self._running = path, _then(done, lambda: _finish(path, state, then))

    def wait(self) -> None:
        """Waits until what was begun is written, by all ranks.

        Raises:
            OutputError: On all ranks, if it could not be.
        """
        if self._running is None:
            return
        (path, running), self._running = self._running, None
        cause = running.exception()
        reasons = [cause and (str(cause) or repr(cause))]
        reason = reasons[0]
        # If a rank is lost, these say so: nothing is wrong with the disk.
        dist.broadcast_object_list(reasons, group=self.group)
        dist.barrier(self.group)
        if reason := reasons[0] or reason:
            self._saved.pop(path, None)
            if is_main_process():
                shutil.rmtree(_temporary_of(path), ignore_errors=True)
            raise not_written(path, reason) from cause


def _temporary_of(path: Path) -> Path:
    """Returns what a file or folder is called until it is whole."""
    return path.with_name(f"{path.name}.tmp")


def _then(done: Future, act: Callable[[], None]) -> Future:
    """Returns what is done when the first is done, and what follows it."""
    both: Future = Future()

    def follow(done: Future) -> None:
        try:
            done.result()
            act()
            both.set_result(None)
        except BaseException as error:
            both.set_exception(error)

    done.add_done_callback(follow)
    return both


def _done() -> Future:
    done: Future = Future()
    done.set_result(None)
    return done


def _finish(path: Path, state: io.BytesIO, then: Callable[[], Any] | None) -> None:
    if is_main_process():
        _write_state(_temporary_of(path), state)
        if path.exists():
            remove(path)
        _temporary_of(path).rename(path)
        if then is not None:
            then()


def _write_state(folder: Path, state: io.BytesIO) -> None:
    """Writes what is no tensor, by rank 0; the file is there whole, or as it was."""
    if not is_main_process():
        return
    path = folder / STATE
    temporary = _temporary_of(path)
    with temporary.open("wb") as file:
        file.write(state.getvalue())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
