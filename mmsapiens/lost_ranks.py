"""What torch says of lost ranks and taken ports, in one sentence that names the rank."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch.distributed as dist

from engine.errors import LostRankError, ProcessError
from engine.launch import default_store

_PATIENCE_SECONDS = 5.0


@contextmanager
def ranks_named(timeout: timedelta | None) -> Iterator[None]:
    """Says in one sentence which rank is missing, where torch says that a socket failed.

    Args:
        timeout: How long ranks wait for each other, for the sentence; None for torch's default.

    Raises:
        ProcessError: If ranks do not meet.
        LostRankError: If one has left the others or does not answer.
    """
    try:
        yield
    except RuntimeError as error:
        wrong = _what_is_wrong(error, _within(timeout))
        if wrong is None:
            raise
        raise wrong from error


def _within(timeout: timedelta | None) -> str:
    if timeout is None:
        return "in time (PyTorch's; env_cfg.dist_cfg.timeout=SECONDS sets it)"
    return f"within {timeout.total_seconds():g} s (env_cfg.dist_cfg.timeout)"


def _what_is_wrong(error: RuntimeError, within: str) -> ProcessError | None:
    text = str(error)
    if not isinstance(error, dist.DistError) and "/gloo/" not in text:
        return None
    where = f"{os.environ.get('MASTER_ADDR')}, port {os.environ.get('MASTER_PORT')}"
    if "EADDRINUSE" in text:
        return ProcessError(
            f"Rank 0 cannot wait for the others at {where}: another program, perhaps another "
            "training, uses the port. Set MASTER_PORT to a free one; scripts/node.sh finds one."
        )
    if not dist.is_initialized():
        return ProcessError(
            f"The {os.environ.get('WORLD_SIZE')} processes did not meet at {where}, {within}: "
            f"{text.splitlines()[0]} Look whether all were started, and can reach that machine."
        )
    if re.search("by peer|pair closure|broken pipe|remote process", text, re.IGNORECASE):
        return LostRankError(
            f"Rank {dist.get_rank()} cannot go on: another one has ended. The first error in the "
            "output, or on the other machines, says why."
        )
    if re.search("tim(e|ed|ing) ?out", text, re.IGNORECASE):
        silent = " and ".join(_silent_ranks()) or "A rank"
        return LostRankError(
            f"{silent} did not answer {within}: stopped, or stuck in reading data or in waiting "
            "for a file system. Look at it, or let ranks wait longer."
        )
    return None


def _silent_ranks() -> list[str]:
    """Names the ranks that have not found a failure, as all do that still run.

    Asks in a thread: the store is rank 0's, unless it is torchrun's, and may be silent itself.
    """
    me, ranks = dist.get_rank(), range(dist.get_world_size())
    names = [f"Rank {rank}" for rank in ranks]
    silent = [0]  # if the store does not answer
    patience = _PATIENCE_SECONDS + (me == 0)  # the others still ask

    def ask() -> None:
        store, keys = default_store(), [f"failed/{rank}" for rank in ranks]
        store.set(keys[me], "")
        with suppress(dist.DistStoreError):
            store.wait(keys, timedelta(seconds=patience))
        silent[:] = [rank for rank in ranks if not store.check([keys[rank]])]
        for rank in silent:
            if store.check([f"who/{rank}"]):
                names[rank] += f" ({store.get(f'who/{rank}').decode()})"

    def ask_if_there() -> None:
        with suppress(dist.DistError):
            ask()

    thread = threading.Thread(target=ask_if_there, daemon=True)
    thread.start()
    thread.join(patience + 1)
    return [names[rank] for rank in silent]
