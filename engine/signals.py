"""What signals ask of a run, and how it ends then. Imports nothing heavy: it is needed at once."""

from __future__ import annotations

import signal
import sys
import threading

STOPPED_EXIT_CODE = 75
"""Of a run that saved its state and stopped on a signal (EX_TEMPFAIL: try again)."""
INTERRUPTED_EXIT_CODE = 128 + signal.SIGINT
"""Of what Ctrl-C stopped, as shells have it; nobody wants it to be tried again."""
LOST_RANK_EXIT_CODE = 76
"""Of a rank that cannot go on without another, which has ended or does not answer (EX_PROTOCOL)."""

STOP_SIGNALS = {
    signal.SIGTERM: STOPPED_EXIT_CODE,
    signal.SIGUSR2: STOPPED_EXIT_CODE,
    signal.SIGINT: INTERRUPTED_EXIT_CODE,
}
"""What clusters send before they take a machine back (submitit and sbatch --signal use SIGUSR2),
and Ctrl-C; by the exit code that each asks for."""


def stop_before_training() -> None:
    """Lets a signal end the process with its exit code while there is nothing to save.

    Without effect outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, lambda *_: sys.exit(STOPPED_EXIT_CODE))
