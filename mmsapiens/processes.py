"""Work shared among processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_processes(
    job: Callable[[Item], Result],
    items: Iterable[Item],
    num_processes: int,
    chunksize: int,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Yields what ``job`` returns for each item, in order.

    Processes are spawned, as a fork's copy of OpenCV's threads may hang. Ctrl-C, like an error,
    ends them after the chunks at hand.
    """
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_processes, spawn, initializer, initargs)
    try:
        with _ctrl_c_waits():
            results = pool.map(job, items, chunksize=chunksize)
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
