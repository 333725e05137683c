"""Fair clocks: tasks in turns, the best of all rounds, on one thread unless said."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import cv2
import torch

T = TypeVar("T")


@contextmanager
def single_threaded() -> Iterator[None]:
    """One thread, as in a worker."""
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])


def best_seconds(
    tasks: Mapping[T, Callable[[], object]], rounds: int, one_thread: bool = True
) -> dict[T, float]:
    """Times tasks in turns, so that a busy machine slows all of them.

    Args:
        tasks: What is timed, by name.
        rounds: Turns each of them gets.
        one_thread: Whether on one thread.

    Returns:
        Seconds of the fastest of ``rounds`` calls, by task.
    """
    seconds: dict[T, float] = defaultdict(lambda: float("inf"))
    with single_threaded() if one_thread else nullcontext():
        for _ in range(rounds):
            for name, task in tasks.items():
                task()  # so that the timed call finds memory that the system has at hand
                start = time.perf_counter()
                task()
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return dict(seconds)
