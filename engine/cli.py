"""What the command lines of tools/ share: config options, and how they end."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import DictAction
from rich.console import Console

from engine.errors import ConfigError, MMSapiensError


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


def add_inference_arguments(
    parser: argparse.ArgumentParser, inputs: str, batch_size: int, batch_of: str
) -> None:
    """Adds what all tools that predict take.

    Args:
        parser: Of the tool.
        inputs: What --input may be.
        batch_size: The default.
        batch_of: What a batch has that many of.
    """
    parser.add_argument("config", help="path of the config")
    parser.add_argument("checkpoint", help="path of the weights")
    parser.add_argument("--input", required=True, help=inputs)
    parser.add_argument("--output", required=True, metavar="DIR", help="results go here")
    parser.add_argument(
        "--batch-size", type=positive_int, default=batch_size, help=f"{batch_of} a forward pass"
    )
    parser.add_argument("--num-workers", type=int, default=2, help="processes that read images")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1"
    )
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions, help="override config keys")


def check_device(name: str) -> torch.device:
    """Returns the device; raises ConfigError if it is unknown or not there."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (AssertionError, AttributeError, RuntimeError) as error:
        raise ConfigError(f"--device {name}: {str(error).splitlines()[0]}") from error
    return device


def positive_int(text: str) -> int:
    """Reads an integer of at least 1; for argparse's ``type``."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def share(text: str) -> float:
    """Reads a number in [0, 1]; for argparse's ``type``."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{value} is not between 0 and 1")
    return value


def run_main(main: Callable[[], int | None]) -> None:
    """Runs ``main`` and exits with its code; an error that the user can mend is one sentence.

    Errors of this project end with exit code 2 and without a traceback; all others keep theirs.
    """
    try:
        code = main() or 0
    except MMSapiensError as error:
        name = type(error).__name__
        Console(stderr=True, soft_wrap=True).print(f"{name}: {error}", style="red", markup=False)
        code = 2
    except Exception:
        traceback.print_exc()
        code = 1
    if code and dist.is_initialized():
        _leave_group(code)
    sys.exit(code)


def _leave_group(code: int) -> None:
    """Ends a failed rank at once: an orderly exit waits for ranks that wait for this one."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
