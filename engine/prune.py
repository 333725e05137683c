"""Removing numbered files but the last ones."""

from __future__ import annotations

import re
from pathlib import Path


def keep_last(folder: str | Path, name: str, keep: int, upto: int) -> None:
    """Removes files of a name but those with the highest numbers.

    Args:
        folder: Where they are; nothing below it counts.
        name: Their name, with ``{}`` in place of the number.
        keep: How many to keep; 0 or less keeps all.
        upto: Files with higher numbers, which another run has left, do not count and stay.
    """
    if keep <= 0:
        return
    pattern = re.compile(re.escape(name).replace(r"\{\}", r"(\d+)"))
    matches = [match for path in Path(folder).iterdir() if (match := pattern.fullmatch(path.name))]
    numbers = sorted(number for match in matches if (number := int(match[1])) <= upto)
    for number in numbers[:-keep]:
        Path(folder, name.format(number)).unlink(missing_ok=True)
