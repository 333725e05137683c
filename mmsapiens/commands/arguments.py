"""The arguments that several verbs take."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from typing import Any

from mmsapiens.commands.options import read_value

SPLITS = ("train", "val", "test")


class CfgOptions(argparse.Action):
    """Reads ``key=value`` pairs; given several times, the later ones add to the earlier."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Merges the pairs into those read so far."""
        options = dict(getattr(namespace, self.dest) or {})
        for pair in values:
            key, equals, value = pair.partition("=")
            if not equals:
                parser.error(f"{option_string} {pair!r}: expected key=value.")
            try:
                options[key] = read_value(value)
            except ValueError as error:
                parser.error(f"{option_string} {pair!r}: {error}.")
        setattr(namespace, self.dest, options)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds the config and what overrides its keys; see :func:`mmsapiens.commands.configs.load`."""
    parser.add_argument(
        "config",
        help="path of a config, or the name of one, as in seg/face/sapiens_1b_face-1024x768",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=CfgOptions,
        metavar="KEY=VALUE",
        help="override config keys: key=value, key.sub=value, key.0.sub=value; values as "
        "4, text, 'text', [a, b], (1, 2), dict(type=X, n=1)",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the config of a model and its weights."""
    add_config(parser)
    parser.add_argument("checkpoint", help="path of the weights")


def add_graph(parser: argparse.ArgumentParser) -> None:
    """Adds whether an exported file's graph runs; see :func:`mmsapiens.export.model.find_graph`."""
    parser.add_argument(
        "--graph",
        action="store_true",
        help="run the graph of an exported file, not the model with its weights; of a .pt2 that is "
        "not your own it may run code (ONNX: always, and safe)",
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Adds who starts the processes of a run on several devices."""
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm"], default="none")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Adds where the model runs; see :func:`engine.device.find_device`."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1; default: the GPU if there is one")


def add_flip(parser: argparse.ArgumentParser) -> None:
    """Adds the mirrored view; see :func:`view_options`."""
    parser.add_argument(
        "--flip", action="store_true", help="average with the mirrored image, in twice the time"
    )


def view_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what --flip overrides in a config."""
    return {"model.test_views.flip": True} if args.flip else {}


def positive_int(text: str) -> int:
    """Reads an integer of at least 1; for argparse's ``type``."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def natural_int(text: str) -> int:
    """Reads an integer of at least 0; for argparse's ``type``."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative")
    return value


def share(text: str) -> float:
    """Reads a number in [0, 1]; for argparse's ``type``."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{value} is not between 0 and 1")
    return value


def finite(text: str) -> float:
    """Reads a number that is neither infinite nor NaN; for argparse's ``type``."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{value} is not finite")
    return value


def given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Returns those of the options that the command line gives."""
    return {name: vars(args)[name] for name in names if vars(args)[name] is not None}
