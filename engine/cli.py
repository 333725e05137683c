"""What the command lines of tools/ share: config options, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from mmengine.config import DictAction
from rich.console import Console

from engine.errors import MMSapiensError


class CfgOptions(DictAction):
    """Reads ``key=value`` pairs; given several times, the later ones add to the earlier."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Merges the pairs into those read so far."""
        earlier = getattr(namespace, self.dest) or {}
        super().__call__(parser, namespace, values, option_string)
        setattr(namespace, self.dest, {**earlier, **getattr(namespace, self.dest)})


def run_main(main: Callable[[], int | None]) -> None:
    """Runs ``main`` and exits with its code; an error that the user can mend is one sentence.

    Errors of this project end with exit code 2 and without a traceback; all others keep theirs.
    """
    try:
        sys.exit(main())
    except MMSapiensError as error:
        name = type(error).__name__
        Console(stderr=True, soft_wrap=True).print(f"{name}: {error}", style="red", markup=False)
        sys.exit(2)
