"""Files that appear under their names when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from engine.lock import is_at, lock

_LONGEST_NAME = 255  # bytes, on all usual file systems


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """Gives a path to write to, in the same folder, which is renamed to ``path`` at the end.

    The next run replaces what one that was killed has left there; while another process writes the
    same file, this one gets a path of its own.
    """
    unfinished = hidden(path, "unfinished")
    with unfinished.open("ab") as file:
        if lock(file) is None or not is_at(file, unfinished):
            unfinished = hidden(path, f"unfinished-{os.getpid()}")
        try:
            yield unfinished
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def hidden(path: Path, why: str) -> Path:
    """Returns a path beside another for what is not to be seen, with the same suffix."""
    name = f".{why}-{path.name}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{why}-{sha256(os.fsencode(path.name)).hexdigest()[:32]}{path.suffix}"
    return path.with_name(name)
