"""Measures all samples, in parallel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2

from engine.data.sample import Sample
from mmsapiens.preflight.check import Case, Check, Item
from mmsapiens.processes import map_in_processes

CHUNK = 8


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
    """Reads all items in order, and yields after each.

    Args:
        items: The samples.
        checks: What to measure.
        metainfos: The dataset's metainfo by split.
        num_workers: Processes; 0 reads in this one.
    """
    if num_workers == 0:
        yield from (read_sample(item, checks, metainfos[item.split])[0] for item in items)
        return
    start = (checks, metainfos)
    yield from map_in_processes(_read_in_worker, items, num_workers, CHUNK, _start_worker, start)


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


_worker: tuple[Sequence[Check], dict[str, dict]]


def _start_worker(checks: Sequence[Check], metainfos: dict[str, dict]) -> None:
    global _worker
    _worker = checks, metainfos
    cv2.setNumThreads(0)


def _read_in_worker(item: Item) -> Reading:
    checks, metainfos = _worker
    return read_sample(item, checks, metainfos[item.split])[0]
