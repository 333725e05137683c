"""What of a folder of results is there already, so that a second run does the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.infer.images import InputImage
from engine.infer.unfinished import complete, hidden

NAME = ".mmsapiens.json"


class Manifest:
    """Says with what the results in a folder were made.

    Results appear under their names only when they are complete, so the files themselves say what
    is done: those that are not older than the manifest are of its settings. Run with others, it is
    written anew, before the first result, and what was there before is done again.

    Args:
        out_dir: Folder of the results.
        settings: With what they are made, as JSON has it.
        overwrite: Whether to do all again.
    """

    def __init__(self, out_dir: Path, settings: Mapping[str, Any], overwrite: bool = False) -> None:
        self.out_dir = out_dir
        path, text = out_dir / NAME, json.dumps(settings, indent=1, default=str)
        try:
            same = path.read_text(encoding="utf-8") == text
        except (OSError, ValueError):
            same = False
        if overwrite or not same:
            out_dir.mkdir(parents=True, exist_ok=True)
            with complete(path) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
        self._since = path.stat().st_mtime_ns

    def mark(self, video: InputImage) -> None:
        """Notes that something of a video failed, so that its results do not count as done."""
        mark = self._mark(video)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()

    def unmark(self, video: InputImage) -> None:
        """Forgets that."""
        self._mark(video).unlink(missing_ok=True)

    def is_marked(self, video: InputImage) -> bool:
        """Whether something of a video failed."""
        return self._mark(video).exists()

    def _mark(self, video: InputImage) -> Path:
        return hidden(Path(self.out_dir, video.out_stem), "failed")

    def has(self, image: InputImage, suffixes: Iterable[str]) -> bool:
        """Whether all results of an image are there, of these settings and of the image as it is.

        Args:
            image: The image.
            suffixes: Of its results.
        """
        try:
            oldest = min(
                Path(self.out_dir, f"{image.out_stem}{suffix}").stat().st_mtime_ns
                for suffix in suffixes
            )
            return oldest >= self._since and oldest >= image.path.stat().st_mtime_ns
        except OSError:  # it is not there
            return False


def fingerprint(path: str | Path) -> dict[str, Any]:
    """Tells a file from another, and from itself after a change."""
    stat = Path(path).stat()
    return {"path": str(Path(path).resolve()), "bytes": stat.st_size, "modified": stat.st_mtime_ns}
