"""Images read and prepared in processes, ahead of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader, Dataset

from engine.data.workers import explain
from engine.infer.ahead import Ahead
from engine.infer.interrupt import ignore_interrupts

_NUM_AHEAD = 2
"""Batches that wait, beside those in the queues of the processes."""


@contextmanager
def loading(
    dataset: Dataset,
    num_workers: int,
    batch_size: int | None,
    collate: Callable[[Any], Any],
    pin_memory: bool = False,
) -> Iterator[Iterator[Any]]:
    """Gives an iterator over the batches of a dataset, in its order.

    Taking a batch over from another process takes milliseconds, a file descriptor for each tensor:
    a thread does it while the model works.

    Args:
        dataset: Has a length.
        num_workers: Processes that read; with 0 nothing is done ahead.
        batch_size: Items a batch; None for single items.
        collate: Makes a batch of items, or of an item what is given.
        pin_memory: Whether tensors are for a GPU.
    """
    num_workers = min(num_workers, len(dataset))  # type: ignore[arg-type]
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=ignore_interrupts,
    )
    batches = iter(loader)  # here: only the main thread hears of processes that die
    if num_workers == 0:
        yield batches
        return
    with Ahead(_taken_over(batches), _NUM_AHEAD) as ahead:
        yield ahead


def _taken_over(batches: Iterator[Any]) -> Iterator[Any]:
    """Yields batches of other processes.

    Raises:
        ProcessError: If one ends while it hands over a tensor, of which PyTorch knows nothing.
    """
    try:
        yield from batches
    except (ConnectionError, EOFError, FileNotFoundError) as error:
        raise explain(BrokenProcessPool(error)) from error
