"""Measures all samples, in parallel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from engine.data.sample import Sample
from mmsapiens.preflight.check import Case, Check, Item
from mmsapiens.processes import map_in_processes


class Reading(NamedTuple):
    """What one sample gave.

    Attributes:
        item: The sample.
        measured: By name of the check.
        unreadable: Files that could not be read, and why.
    """

    item: Item
    measured: dict[str, Any]
    unreadable: list[Case]


def scan(
    items: Sequence[Item],
    checks: Sequence[Check],
    metainfos: dict[str, dict],
    num_workers: int = 0,
) -> Iterator[Reading]:
    """Reads all items; returns what they gave, in order, as it comes.

    Args:
        items: The samples.
        checks: What to measure.
        metainfos: The dataset's metainfo by split.
        num_workers: Processes; 0 reads in this one.
    """
    read = partial(_read, checks, metainfos)
    if num_workers == 0:
        return map(read, items)
    return map_in_processes(read, items, num_workers)


def _read(checks: Sequence[Check], metainfos: dict[str, dict], item: Item) -> Reading:
    return read_sample(item, checks, metainfos[item.split])[0]


def read_sample(item: Item, checks: Sequence[Check], metainfo: dict) -> tuple[Reading, Sample]:
    """Measures one sample; whatever goes wrong with a file is recorded, never raised.

    Returns:
        The reading, and the sample with the fields that could be read.
    """
    sample: Sample = {**item.record, "metainfo": metainfo}
    measured, unreadable = {}, []
    for check in checks:
        if check.key not in item.record:
            continue
        try:
            measured[check.name] = check.measure(sample)
        except Exception as error:  # decoders raise many kinds for damaged files
            path = str(item.record[check.key])
            unreadable.append(Case(path, str(error).removeprefix(path).strip(), item.path))
    return Reading(item, measured, unreadable), sample
