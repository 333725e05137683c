"""Removing numbered checkpoints but the last ones."""

from __future__ import annotations

import re
import shutil
from pathlib import Path


def keep_last(folder: str | Path, name: str, keep: int, upto: int) -> None:
    """Removes checkpoints of a name but those with the highest numbers.

    Args:
        folder: Where they are; nothing below it counts.
        name: Their name, with ``{}`` in place of the number, of a file; of folders, which sharded
            trainings save, the suffix is ``.dcp`` instead, and both count alike.
        keep: How many to keep; 0 or less keeps all.
        upto: Those with higher numbers, which another run has left, do not count and stay.
    """
    if keep <= 0:
        return
    stem = re.escape(str(Path(name).with_suffix(""))).replace(r"\{\}", r"(\d+)")
    pattern = re.compile(rf"{stem}({re.escape(Path(name).suffix)}|\.dcp)")
    found = [(match, p) for p in Path(folder).iterdir() if (match := pattern.fullmatch(p.name))]
    numbers = sorted({number for match, _ in found if (number := int(match[1])) <= upto})
    for match, path in found:
        if int(match[1]) in numbers[:-keep]:
            remove(path)


def remove(path: Path) -> None:
    """Removes a file, or a folder, which loses its name first: a kill leaves no half of it."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    half = path.with_name(f"{path.name}.old.tmp")
    shutil.rmtree(half, ignore_errors=True)
    path.rename(half)
    shutil.rmtree(half)
