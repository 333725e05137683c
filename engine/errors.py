"""The errors of this project: each names what is wrong, where, and how to mend it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engine.signals import LOST_RANK_EXIT_CODE


class MMSapiensError(ValueError):
    """Base of all errors that a user of this project can mend."""

    exit_code = 2
    """Of a command that ends with it."""


class ConfigError(MMSapiensError):
    """A config asks for something that does not exist or contradicts itself.

    Args:
        *args: What is wrong, a sentence each.
    """

    def __str__(self) -> str:
        if len(self.args) == 1:
            return str(self.args[0])
        return f"{len(self.args)} errors:" + "".join(f"\n  * {text}" for text in self.args)

    def within(self, place: str) -> ConfigError:
        """Returns the same with each sentence beginning with a place, such as a file."""
        return ConfigError(*(f"{place}: {text}" for text in self.args))


def collect(errors: list[str], check: Callable[..., object], *args: Any) -> bool:
    """Runs a check, and puts what its ConfigError says into a list; returns whether all is well.

    So that all that is wrong with a config is said at once.
    """
    try:
        check(*args)
    except ConfigError as error:
        errors += [text for text in map(str, error.args) if text not in errors]
        return False
    return True


class DataError(MMSapiensError):
    """A file of a dataset is missing, unreadable or holds what it must not hold."""


class WeightsError(MMSapiensError):
    """A checkpoint cannot be read, or does not fit the model."""


class NonFiniteError(MMSapiensError, FloatingPointError):
    """A loss or a gradient is infinite or not a number."""


class OutputError(MMSapiensError, OSError):
    """A file or folder cannot be written."""


class ProcessError(MMSapiensError):
    """Processes are in each other's way, or do not meet."""


class LostRankError(ProcessError):
    """Another process of the run has ended, or does not answer."""

    exit_code = LOST_RANK_EXIT_CODE


def not_written(path: Path, reason: object) -> OutputError:
    """Returns the error of a checkpoint that cannot be written: for a full disk, say."""
    free = shutil.disk_usage(path.parent).free / 2**30
    text = " ".join(str(reason).strip().splitlines()[-1:])
    return OutputError(
        f"{path} could not be written ({text:.200}); {free:.2f} GiB are free there. Earlier "
        "checkpoints are whole: make room and go on with --resume."
    )


def shorten(value: object, length: int = 60) -> str:
    """Returns how a value is written, the end of a long one cut off."""
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: the insertions, deletions and substitutions from ``a`` to ``b``."""
    row = list(range(len(b) + 1))
    for i, char_a in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, char_b in enumerate(b, 1):
            substituted = diagonal + (char_a != char_b)
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, substituted)
    return row[-1]


def near_miss(name: str, known: Iterable[str], max_distance: int = 2) -> str | None:
    """Returns the known name closest to ``name`` within ``max_distance`` edits, or None."""
    distance, best = min(((edit_distance(name, k), k) for k in known), default=(99, ""))
    return best if distance <= max_distance else None
