"""How commands end: their exit codes, and what they print of an error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED_EXIT_CODE = 130
"""What shells give a process that Ctrl-C ended."""


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Runs ``main`` and exits with its code; an error that the user can mend is one sentence.

    Errors of this project end with exit code 2 and without a traceback; all others keep theirs.
    """
    try:
        code = main() or 0
    except KeyboardInterrupt:
        code = INTERRUPTED_EXIT_CODE
    except Exception as error:
        code = _report(error)
    if code and _in_a_group():
        _leave_group(code)
    sys.exit(code)


def _report(error: Exception) -> int:
    if isinstance(error, ImportError):
        traceback.print_exception(error)
        sys.stderr.write("`mmsapiens doctor` looks for what is wrong with the installation.\n")
        return 1
    from engine.errors import MMSapiensError  # not above: it may be what cannot be imported

    if not isinstance(error, MMSapiensError):
        traceback.print_exception(error)
        return 1
    from rich.console import Console

    text = f"{type(error).__name__}: {error}"
    Console(stderr=True, soft_wrap=True).print(text, style="red", markup=False)
    return 2


def _in_a_group() -> bool:
    if "torch.distributed" not in sys.modules:  # and it is not imported for this question
        return False
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized()


def _leave_group(code: int) -> NoReturn:
    """Ends a failed rank at once: an orderly exit waits for ranks that wait for this one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
