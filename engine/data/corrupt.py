"""Counting the records that cannot be read, over a process and its data workers."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log

from engine.errors import DataError

MAX_SHARE = 0.01
_MOST_NAMES = 20


class CorruptRecords:
    """Which records a process and its data workers have read, and which of them were corrupt.

    One byte a record, in memory shared with the workers, so that the count is the same for any
    number of them and is seen by the process itself.

    Args:
        num_records: Length of the dataset.
        source: The dataset's name, for the messages.
        name_of: Names the record of an index.
    """

    def __init__(self, num_records: int, source: str, name_of: Callable[[int], str] = str) -> None:
        self.source = source
        self.name_of = name_of
        self.read = torch.zeros(num_records, dtype=torch.bool).share_memory_()
        self.corrupt = torch.zeros(num_records, dtype=torch.bool).share_memory_()
        self.share_of_epoch = -(-num_records // get_world_size())

    def __len__(self) -> int:
        return int(self.corrupt.sum())

    def add(self, index: int, error: DataError) -> None:
        """Notes a corrupt record; warns of it the first time.

        Raises:
            DataError: If they are more than one and more than 1 % of the records read so far, or
                of those that this process reads in an epoch if these are more.
        """
        if self.corrupt[index]:
            return
        self.corrupt[index] = True
        base = max(self.share_of_epoch, int(self.read.sum()))
        count = f"{len(self)} of {base} samples cannot be read"
        if len(self) > max(1, MAX_SHARE * base):
            raise DataError(
                f'{self.source}: {count}; on_corrupt="skip" allows {MAX_SHARE:.0%}. Mend or remove '
                f"them, after mmsapiens check CONFIG has found the others. So far: "
                f"{self._names()}. The last one: {error}"
            ) from error
        warning = f"{self.source}: the next sample takes the place of {index} ({count}): {error}"
        print_log(warning, "current", logging.WARNING)

    def _names(self) -> str:
        indices = self.corrupt.nonzero().flatten().tolist()
        more = f", and {len(indices) - _MOST_NAMES} more" if len(indices) > _MOST_NAMES else ""
        return ", ".join(self.name_of(index) for index in indices[:_MOST_NAMES]) + more
