"""Stopping on a signal, at the same iteration on all ranks."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util  # its exit handler must be older than ours
import signal
import threading
from functools import cache
from types import FrameType

import torch
import torch.distributed as dist

STOPPED_EXIT_CODE = 75
"""Exit code of a run that saved its state and stopped on a signal (EX_TEMPFAIL: try again)."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
"""What clusters send before they take a machine back; submitit and sbatch --signal use SIGUSR2."""


class StopRequest:
    """Notes a stop signal; ranks agree on it over a group of their own, on the CPU.

    A signal reaches the ranks at different moments, within different iterations. If each stopped on
    its own, the others would wait for it in a collective for ever.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        distributed = dist.is_available() and dist.is_initialized()
        self.group = dist.new_group(backend="gloo") if distributed else None

    def listen(self) -> None:
        """Installs the handlers; without effect outside the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)

    def agreed(self) -> bool:
        """Whether any rank has received a signal; every rank must ask at the same iterations."""
        received = self.received is not None
        if self.group is None:
            return received
        flag = torch.tensor(int(received))
        dist.all_reduce(flag, dist.ReduceOp.MAX, group=self.group)
        return bool(flag)


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
