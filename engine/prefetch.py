"""Batches that are on the GPU before they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

Batch = TypeVar("Batch")


def prefetch(
    batches: Iterable[Batch], move: Callable[[Batch], Batch], device: torch.device
) -> Iterator[Batch]:
    """Yields batches on a device, each copied while the one before it is worked on.

    Args:
        batches: From a loader that pins them.
        move: Copies a batch to the device, without waiting.
        device: On other devices than GPUs batches are yielded as they are.
    """
    if device.type != "cuda":
        yield from batches
        return
    copying = torch.cuda.Stream(device)
    ahead: list[Batch] = []
    for batch in batches:
        # What is queued so far belongs to batches before the one that is ahead. Once that is done,
        # their memory, which the copy may get, is free.
        copying.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(copying):
            moved = move(batch)
        copied = copying.record_event()
        yield from ahead
        torch.cuda.current_stream(device).wait_event(copied)
        ahead = [moved]
    yield from ahead
