"""Writes whole datasets of synthetic people, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import DataError
from mmsapiens.processes import map_in_processes
from mmsapiens.synthetic.layouts import Layout
from mmsapiens.synthetic.writing import Split


def write_split(
    layout: Layout, out_dir: Path, split: Split, num: int, workers: int = 1, **options: Any
) -> Iterator[int]:
    """Writes the pictures and labels of a split.

    Args:
        layout: How.
        out_dir: The folder of all splits.
        split: Which one.
        num: Number of pictures.
        workers: Number of processes.
        **options: Of each picture: ``size_hw``, ``seed`` and, but for faces, ``variety``.

    Yields:
        The number of pictures done, after each one.
    """
    results = []
    for result in run_all(partial(layout.write, out_dir, split, **options), num, workers):
        results.append(result)
        yield len(results)
    if layout.finish:
        layout.finish(out_dir, split, results)


def prepare(out_dir: Path, patterns: Sequence[str], overwrite: bool) -> None:
    """Makes a folder without files.

    Raises:
        DataError: It holds files, and ``overwrite`` is not set or they are not of the layout.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for pattern in patterns:
            for path in out_dir.glob(pattern):
                path.unlink()
    files = (path for path in out_dir.rglob("*") if path.is_file())
    left = sorted(str(path.relative_to(out_dir)) for path in files)
    if left:
        fix = "Remove the other files" if overwrite else "Pass --overwrite"
        raise DataError(
            f"{out_dir} is not empty: it holds {left[:3]}. {fix}, or name a new folder."
        )


def run_all(job: Callable[[int], Any], num: int, workers: int) -> Iterator[Any]:
    """Runs the job for each index, and yields what each returns, in order."""
    if workers == 1:
        yield from map(job, range(num))
    else:
        yield from map_in_processes(job, range(num), workers, chunksize=4)
