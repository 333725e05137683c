"""Ctrl-C between batches."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from engine.model.base import BaseModel

_SAID = b"\nInterrupted: the batch in hand is finished. Once more to stop at once.\n"


@contextmanager
def interrupts_between_batches(*models: BaseModel) -> Iterator[None]:
    """Lets a first Ctrl-C raise KeyboardInterrupt where a model begins its next batch.

    What the batch in hand gives is thus handed on. A second Ctrl-C raises at once.

    Args:
        *models: Each of which runs once a batch, in any thread.
    """
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        os.write(2, _SAID)  # a stream may be in use where the signal comes

    def check(*_: Any) -> None:
        if asked:
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()  # which hears of signals
    if not in_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    hooks = [model.register_forward_pre_hook(check) for model in models]
    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        for hook in hooks:
            hook.remove()


def ignore_interrupts(*_: int) -> None:
    """Leaves Ctrl-C, which a terminal sends to all, to the main process; for workers' start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
