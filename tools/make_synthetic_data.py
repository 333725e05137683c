"""Writes synthetic people in the layouts of the real datasets, so that the same configs read both.

    python tools/make_synthetic_data.py face data/face/synthetic --num 200 --size 512 --workers 2

Picture i depends only on the seed and i, whatever the number of pictures or workers.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from rich.progress import track

from engine.cli import run_main
from engine.data.synthetic_people.write_face import FACE_PATTERN, write_face
from engine.errors import DataError

# Layout -> (what writes the files of one picture, the names of its files).
LAYOUTS = {"face": (write_face, FACE_PATTERN)}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    layouts = parser.add_subparsers(dest="layout", required=True)
    for name in LAYOUTS:
        layout = layouts.add_parser(name, help=f"write the {name} layout")
        layout.add_argument("out_dir", type=Path)
        layout.add_argument("--num", type=int, default=200, help="number of pictures")
        layout.add_argument("--size", type=int, default=512, help="height and width in pixels")
        layout.add_argument("--seed", type=int, default=0)
        layout.add_argument("--workers", type=int, default=1, help="number of processes")
        layout.add_argument(
            "--overwrite", action="store_true", help="delete the layout's files in out_dir first"
        )
    return parser.parse_args(argv)


def prepare(out_dir: Path, pattern: str, overwrite: bool) -> None:
    """Makes an empty folder.

    Raises:
        DataError: It holds files, and ``overwrite`` is not set or they are not of the layout.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for path in out_dir.glob(pattern):
            path.unlink()
    left = sorted(path.name for path in out_dir.iterdir())
    if left:
        fix = "Remove the other files" if overwrite else "Pass --overwrite"
        raise DataError(
            f"{out_dir} is not empty: it holds {left[:3]}. {fix}, or name a new folder."
        )


def run_all(job: Callable[[int], None], num: int, workers: int) -> Iterator[None]:
    """Runs the job for each index, and yields after each."""
    if workers == 1:
        yield from map(job, range(num))
        return
    # Not forked, as a copy of OpenCV's threads may hang.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        yield from pool.map(job, range(num), chunksize=4)


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the pictures."""
    args = parse_args(argv)
    write, pattern = LAYOUTS[args.layout]
    prepare(args.out_dir, pattern, args.overwrite)
    job = partial(write, args.out_dir, seed=args.seed, size_hw=(args.size, args.size))
    done = run_all(job, args.num, args.workers)
    for _ in track(done, description=f"{args.out_dir}", total=args.num):
        pass


if __name__ == "__main__":
    run_main(main)
