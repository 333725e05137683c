"""A deterministic held-out part of a dataset that comes without one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from engine.errors import ConfigError, DataError

Split = Literal["all", "train", "val"]
Record = TypeVar("Record")


def read_list(path: str | Path) -> list[str]:
    """Reads one name a line; empty lines and lines starting with ``#`` are skipped."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"The list file {str(path)!r} does not exist.")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def below_root(path: str | None, data_root: str) -> Path | None:
    """The path below the data root if there is such a file, else as it stands."""
    if not path:
        return None
    below = Path(data_root, path)
    return below if below.is_file() else Path(path)


def select_split(
    records: Sequence[tuple[str, Record]],
    split: Split,
    val_ratio: float,
    val_list: str | Path | None = None,
) -> list[Record]:
    """Picks the records of one split; ``train`` and ``val`` share none and together are all.

    Args:
        records: (name, record) pairs; the name decides, not the position, so that the split does
            not change with the order of a listing.
        split: Which part.
        val_ratio: Share in (0, 1) held out for ``val``: the names with the smallest hashes.
        val_list: A text file of the names to hold out instead, with or without file suffix.

    Raises:
        ConfigError: If the split is unknown, or the ratio leaves a split empty.
        DataError: If the list is missing or names a file that the dataset does not have.
    """
    if split not in ("all", "train", "val"):
        raise ConfigError(f"split={split!r}: expected 'all', 'train' or 'val'.")
    if split == "all":
        return [record for _, record in records]
    names = {name for name, _ in records}
    if val_list is not None:
        held_out = {n if n in names else str(Path(n).with_suffix("")) for n in read_list(val_list)}
        unknown = sorted(held_out - names)
        if unknown:
            raise DataError(
                f"{str(val_list)!r} names {len(unknown)} samples that the dataset does not have, "
                f"such as {', '.join(unknown[:3])}."
            )
    else:
        by_hash = sorted(names, key=lambda name: hashlib.sha1(name.encode()).digest())
        held_out = set(by_hash[: round(val_ratio * len(by_hash))])
    if not 0 < len(held_out) < len(names):
        raise ConfigError(
            f"split={split!r}: {len(held_out)} of {len(names)} samples would be held out "
            f"(val_ratio={val_ratio}, val_list={val_list}); both parts need at least one. "
            'Set val_ratio accordingly, or use split="all".'
        )
    return [record for name, record in records if (name in held_out) == (split == "val")]
