"""Stopping on a signal, at the same iteration on all ranks."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util  # its exit handler must be older than ours
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from types import FrameType

import torch
import torch.distributed as dist

from engine.signals import STOP_SIGNALS


class StopRequest:
    """Notes a stop signal; ranks agree on it over a group of their own, on the CPU.

    A signal reaches the ranks at different moments, within different iterations. If each stopped on
    its own, the others would wait for it in a collective for ever.

    Args:
        timeout: How long ranks wait for each other; None for torch's default.
    """

    def __init__(self, timeout: timedelta | None = None) -> None:
        self.exit_code = 0
        distributed = dist.is_available() and dist.is_initialized()
        self.group = dist.new_group(backend="gloo", timeout=timeout) if distributed else None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the signals inside; without effect outside the main thread.

        A second Ctrl-C ends the process at once. One that is ignored, as in the background of a
        script, still is. If the process ends, the signals are handled to its end.
        """
        before = {}
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if number != signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, self._note)
        try:
            yield
        except SystemExit:
            before.clear()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = max(self.exit_code, STOP_SIGNALS[signal.Signals(number)])
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    def agreed(self) -> int:
        """The exit code of the signals that any rank has received, 0 for none.

        Every rank must ask at the same iterations.
        """
        if self.group is None:
            return self.exit_code
        code = torch.tensor(self.exit_code)
        dist.all_reduce(code, dist.ReduceOp.MAX, group=self.group)
        return int(code)


@cache
def end_workers_at_exit() -> None:
    """Ends workers by SIGKILL when the interpreter exits.

    ``multiprocessing`` sends daemons SIGTERM then, which ours ignore, and waits for them for ever.
    """

    def kill_daemons() -> None:
        # PyTorch's handler of SIGCHLD takes a killed worker for a crash.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for child in multiprocessing.active_children():
            if child.daemon:
                child.kill()

    atexit.register(kill_daemons)  # runs before that of multiprocessing.util, registered earlier


def ignore_stop_signals(*_: int) -> None:
    """Leaves signals to the main process: clusters send them to data-loading workers, too.

    For the start of a worker; PyTorch's own handler would end it, and with it the run. Needs
    :func:`end_workers_at_exit` in the main process.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
