"""Work shared among processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TypeVar

import cv2

CHUNK = 4
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_processes(
    job: Callable[[Item], Result], items: Iterable[Item], num_processes: int
) -> Iterator[Result]:
    """Yields what ``job`` returns for each item, in order.

    Processes are spawned, as a fork's copy of OpenCV's threads may hang; theirs have none. Ctrl-C,
    like an error, ends them after the chunks at hand.
    """
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_processes, spawn, cv2.setNumThreads, (0,))
    try:
        with _ctrl_c_waits():
            results = pool.map(job, items, chunksize=CHUNK)
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Holds Ctrl-C back; processes that are started meanwhile never see it.

    A terminal sends it to all of them, and each would print where it was.
    """
    resource_tracker.ensure_running()  # its start would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
