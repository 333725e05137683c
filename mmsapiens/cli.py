"""The command ``mmsapiens``: its verbs, each a module of :mod:`mmsapiens.commands`, and its end.

Neither this file nor the top of a verb's module imports PyTorch, MMEngine or OpenCV: help comes at
once, and ``mmsapiens doctor`` starts whatever is broken.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import select
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from mmsapiens import __version__

VERBS = (
    "train",
    "test",
    "infer",
    "submit",
    "gallery",
    "models",
    "check",
    "browse",
    "convert",
    "export",
    "port",
    "benchmark",
    "synthesize",
    "reconstruct",
    "coco-to-folder",
    "demo",
    "doctor",
)
UNWRITABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOTDIR, errno.EEXIST),  # a file where a folder should be
    *(errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP),  # no place to make it in, as below /proc
)
"""What a system says of places that a user chose badly; the errors name them."""
STDOUT = 1
READER_LEFT_EXIT_CODE = 141
"""What shells give a process that wrote into a closed pipe."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs a command line, by default this process's, and ends the process."""
    run_main(lambda: dispatch(sys.argv[1:] if argv is None else argv))


def dispatch(argv: Sequence[str]) -> int | None:
    """Runs a verb with its arguments; returns the exit code."""
    verb, *rest = argv or ["--help"]
    if verb in ("-h", "--help"):
        sys.stdout.write(overview())
        return 0
    if verb == "--version":
        sys.stdout.write(f"mmsapiens {__version__}\n")
        return 0
    if verb not in VERBS:
        from engine.errors import near_miss

        near = near_miss(verb, VERBS)
        hint = f" Did you mean {near!r}?" if near else ""
        known = ", ".join(VERBS)
        sys.stderr.write(f"mmsapiens: there is no verb {verb!r}.{hint} There are: {known}.\n")
        return 2
    return command_of(verb).run(build_parser(verb).parse_args(rest))


def command_of(verb: str) -> ModuleType:
    """Returns the module of a verb."""
    return import_module(f"mmsapiens.commands.{verb.replace('-', '_')}")


def build_parser(verb: str) -> argparse.ArgumentParser:
    """Returns the parser of a verb's arguments."""
    command = command_of(verb)
    parser = argparse.ArgumentParser(
        prog=f"mmsapiens {verb}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    return parser


def overview() -> str:
    """Lists the verbs, each with the first line of its help."""
    width = max(map(len, VERBS))
    lines = [f"  {v:{width}}  {str(command_of(v).__doc__).splitlines()[0]}\n" for v in VERBS]
    usage = "usage: mmsapiens VERB ...    (mmsapiens VERB --help says more; --version)\n\n"
    return usage + "".join(lines)


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Runs ``main`` and exits with its code; an error that the user can mend is one sentence.

    Errors of this project end with exit code 2 and without a traceback; all others keep theirs.
    """
    logging.raiseExceptions = False  # on a full disk, each line of a log would have its traceback
    try:
        code = main() or 0
        sys.stdout.flush()
    except SystemExit:
        _end_group()
        raise
    except KeyboardInterrupt:
        from engine.signals import INTERRUPTED_EXIT_CODE  # not above: it may be broken

        code = INTERRUPTED_EXIT_CODE
    except Exception as error:
        code = _report(error)
    if code:
        _leave_group(code)
    _end_group()
    sys.exit(code)


def _report(error: Exception) -> int:
    if isinstance(error, BrokenPipeError) and _reader_left():
        return READER_LEFT_EXIT_CODE
    if isinstance(error, ImportError):
        traceback.print_exception(error)
        _leave_error(error)
        sys.stderr.write("`mmsapiens doctor` looks for what is wrong with the installation.\n")
        return 1
    # Not above: they may be what is wrong.
    from engine.data.workers import explain
    from engine.errors import MMSapiensError, OutputError

    error = explain(error)
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        what = f"{error.filename or 'A file'} cannot be used: {error.strerror}."
        error = OutputError(f"{what} Mend the rights or make room, or name another folder.")
    _leave_error(error)
    if not isinstance(error, MMSapiensError):
        traceback.print_exception(error)
        return 1
    from rich.console import Console

    text = f"{type(error).__name__}: {error}"
    Console(stderr=True, soft_wrap=True).print(text, style="red", markup=False)
    return error.exit_code


def _leave_error(error: Exception) -> None:
    """Tells the job that this process is a rank of what went wrong; see mmsapiens.cluster.rank."""
    path = os.environ.get("MMSAPIENS_ERROR_FILE")
    if path:
        with suppress(OSError):
            Path(path).write_text(f"{type(error).__name__}: {error}", encoding="utf-8")


def _reader_left() -> bool:
    """Whether standard output is closed, as in ``mmsapiens doctor | head``; it is silenced then."""
    poll = select.poll()
    poll.register(STDOUT, select.POLLOUT)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # what is still buffered goes there
    return True


def _group() -> Any:
    """Returns ``torch.distributed`` of a rank, else None; it is not imported for this question."""
    dist = sys.modules.get("torch.distributed")
    return dist if dist and dist.is_available() and dist.is_initialized() else None


def _leave_group(code: int) -> None:
    """Ends a failed rank at once: an orderly exit waits for ranks that wait for this one."""
    if _group():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_group() -> None:
    """Ends the threads of the group: one that Python's end finds at work aborts the process."""
    if dist := _group():
        dist.destroy_process_group()
