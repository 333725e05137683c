"""The command ``mmsapiens``: its verbs, each a module of :mod:`mmsapiens.commands`.

Neither this file nor the top of a verb's module imports PyTorch, MMEngine or OpenCV: help comes at
once, and ``mmsapiens doctor`` starts whatever is broken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, Protocol, cast

from mmsapiens import __version__
from mmsapiens.commands.endings import run_main

VERBS = (
    "train",
    "test",
    "infer",
    "check",
    "browse",
    "convert",
    "benchmark",
    "synthesize",
    "reconstruct",
    "coco-to-folder",
    "demo",
    "doctor",
)


class Command(Protocol):
    """The module of a verb; its docstring is the text of ``--help``."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Says what the verb takes."""

    def run(self, args: argparse.Namespace) -> int | None:
        """Does it; returns the exit code, None for 0."""


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
        sys.stderr.write(unknown(verb))
        return 2
    return command_of(verb).run(build_parser(verb).parse_args(rest))


def command_of(verb: str) -> Command:
    """Returns the module of a verb."""
    return cast(Command, import_module(f"mmsapiens.commands.{verb.replace('-', '_')}"))


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


def unknown(verb: str) -> str:
    """Says what could be meant."""
    from engine.errors import near_miss

    near = near_miss(verb, VERBS)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"mmsapiens: there is no verb {verb!r}.{hint} There are: {', '.join(VERBS)}.\n"
