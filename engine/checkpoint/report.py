"""What came of matching a checkpoint with a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Mismatch(NamedTuple):
    """A tensor of another shape in the file than in the model."""

    key: str
    file_shape: tuple[int, ...]
    model_shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.key} {self.file_shape} in the file, {self.model_shape} in the model"


class Resize(NamedTuple):
    """A position embedding that was resized from one grid (h, w) to another."""

    key: str
    source_hw: tuple[int, int]
    target_hw: tuple[int, int]

    def __str__(self) -> str:
        (h, w), (target_h, target_w) = self.source_hw, self.target_hw
        return f"{self.key} {h}x{w} -> {target_h}x{target_w}"


@dataclass(frozen=True)
class LoadReport:
    """Which tensors were loaded, and which were not. Names are the model's.

    Attributes:
        source: The checkpoint's name.
        matched: Loaded.
        missing: In the model only; left at their initial values.
        unexpected: In the file only; not used.
        mismatched: In both but of different shapes; left at their initial values.
        resized: Position embeddings that were resized; they are among ``matched``.
    """

    source: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    resized: tuple[Resize, ...]

    def __str__(self) -> str:
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        lines = [f"Loaded {len(self.matched)} of the model's {total} tensors from {self.source}"]
        for title, items in (
            ("resized", self.resized),
            ("missing in the file, left at their initial values", self.missing),
            ("of another shape, left at their initial values", self.mismatched),
            ("in the file only, not used", self.unexpected),
        ):
            if items:
                lines.append(f"  {title}: {listing(items)}")
        return "\n".join(lines)


def listing(items: Iterable[object], limit: int = 6) -> str:
    """Returns the items as text, the first few of many and how many there are."""
    texts = [str(item) for item in items]
    if len(texts) <= limit:
        return ", ".join(texts)
    return f"{', '.join(texts[:limit])}, ... ({len(texts)} in all)"
