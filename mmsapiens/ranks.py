"""Starts the processes of one training on this machine, one a device, and ends as they end.

    python -m mmsapiens.ranks 8 -m mmsapiens train CONFIG --launcher pytorch

torchrun kills its processes 30 seconds after a signal, in the middle of saving a large model, and
always ends with code 1. Here they have the time that they need, and their exit code is kept.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from subprocess import Popen
from types import FrameType

from engine.signals import STOP_SIGNALS

SIGNALS = (*STOP_SIGNALS, signal.SIGHUP)
"""What is passed on to all processes."""
GRACE_SECONDS = 30
"""From the first failure to the end of all others; one of them may be writing a checkpoint."""


def main(argv: Sequence[str]) -> int:
    """Runs the command line; returns the exit code."""
    num, *words = argv or [""]
    if not num.isdecimal() or not int(num) or not words:
        sys.stderr.write(f"expected a number of processes and what they run; found {argv}\n")
        return 2
    with socket.socket() as port:
        # Bound, but not listening: no other program is given the port, and rank 0 may take it.
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("", 0))
        return Ranks().run(int(num), words, port.getsockname()[1])


class Ranks:
    """Processes that know each other by the variables that torchrun sets."""

    def __init__(self) -> None:
        self.running: dict[int, tuple[int, Popen]] = {}  # by process id: the rank
        self.received: int | None = None

    def run(self, num: int, words: Sequence[str], port: int) -> int:
        """Starts them and waits for their ends.

        Args:
            num: How many.
            words: What each runs, as arguments of this Python.
            port: Free one, where they meet.

        Returns:
            0, or the exit code of the first that failed, as shells tell it.
        """
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup; the background of a script
                signal.signal(number, self._pass_on)
        signal.signal(signal.SIGALRM, lambda *_: self._kill())
        for rank in range(num):
            self._start(rank, num, port, words)
        if self.received is not None:
            self.send(self.received)  # those that started since have not got it
        return self._wait()

    def _start(self, rank: int, num: int, port: int, words: Sequence[str]) -> None:
        env = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": num,
            "LOCAL_WORLD_SIZE": num,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", 1),
        }
        process = Popen(
            [sys.executable, *words],
            env={**os.environ, **{name: str(value) for name, value in env.items()}},
            start_new_session=True,  # a terminal's Ctrl-C comes from here, once
            preexec_fn=end_with_parent,
        )
        self.running[process.pid] = (rank, process)

    def send(self, number: int) -> None:
        """Sends a signal to those that run."""
        for pid in list(self.running):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self.send(number)

    def _kill(self) -> None:
        for pid in list(self.running):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # its data workers, too

    def _wait(self) -> int:
        """Waits for all; the first that fails ends the others."""
        exit_code = 0
        while self.running:
            pid, status = os.wait()
            rank, process = self.running.pop(pid)
            code = process.returncode = os.waitstatus_to_exitcode(status)
            if code and not exit_code:
                exit_code = code if code > 0 else 128 - code
                if code < 0 and -code != self.received:  # it could not say so itself
                    name = signal.Signals(-code).name
                    sys.stderr.write(f"Rank {rank} (process {pid}) was ended by {name}.\n")
                if exit_code not in STOP_SIGNALS.values():
                    self.send(signal.SIGTERM)
                signal.alarm(GRACE_SECONDS)
        signal.alarm(0)
        return exit_code


def end_with_parent() -> None:
    """Lets Linux end this process when its parent is gone, however that ended."""
    set_signal_of_parents_death = 1
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(set_signal_of_parents_death, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
