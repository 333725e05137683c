"""Which checkpoint of a work directory to resume from."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mmengine.logging import print_log

from engine.checkpoint.read import read_checkpoint
from engine.errors import WeightsError

_NAME = re.compile(r"(epoch|iter)_\d+\.pth")


def latest_checkpoint(work_dir: str | Path) -> str | None:
    """Returns the path of the newest whole checkpoint, or None if there is none.

    Files are tried from the newest to the oldest; one that is truncated or cannot be read is
    reported and left out.
    """
    paths = [path for path in Path(work_dir).glob("*.pth") if _NAME.fullmatch(path.name)]
    for path in sorted(paths, key=lambda p: p.stat().st_mtime_ns, reverse=True):
        try:
            read_checkpoint(path)
        except WeightsError as error:
            print_log(f"Not resuming from {path}: {error}", "current", logging.WARNING)
        else:
            return str(path)
    return None
