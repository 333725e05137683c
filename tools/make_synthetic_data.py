"""Writes synthetic people in the layouts of the real datasets, so that the same configs read both.

    python tools/make_synthetic_data.py face data/face/synthetic --num 200 --size 512 --workers 2
    python tools/make_synthetic_data.py lip data/lip_synthetic --num 500 --num-val 50
    python tools/make_synthetic_data.py coco data/coco_synthetic --num 500 --num-val 50

Picture i of a split depends only on i, seed, size and variety, whatever the number of pictures or
workers.
Layouts without a split of their own (face, goliath, depth, normal) are divided by their datasets.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import track

from engine.cli import run_main, share
from engine.errors import DataError
from mmsapiens.synthetic.write_face import FACE_PATTERNS, write_face
from mmsapiens.synthetic.write_geometry import (
    Geometry,
    geometry_patterns,
    write_geometry,
)
from mmsapiens.synthetic.write_parts import CIHP, GOLIATH, LIP, PartsLayout, write_parts
from mmsapiens.synthetic.write_pose import PoseLayout, write_annotations, write_pose
from mmsapiens.synthetic.writing import Split


@dataclass(frozen=True)
class Layout:
    """How a dataset is written.

    Args:
        write: Writes picture ``index`` of ``split`` to ``out_dir``, in this order, and takes
            ``seed``, ``size_hw`` and, but for faces, ``variety`` as keywords.
        patterns: Match all files of the layout, below ``out_dir``.
        has_val: Whether it has a validation split.
        finish: Writes the files of a split from what ``write`` returned for its pictures.
    """

    write: Callable[..., Any]
    patterns: tuple[str, ...]
    has_val: bool = False
    finish: Callable[[Path, Split, list[Any]], None] | None = None


def parts_layout(parts: PartsLayout) -> Layout:
    """The layout of a dataset of body parts."""
    return Layout(
        partial(write_parts, layout=parts), parts.patterns, has_val="val" in parts.folders
    )


def geometry_layout(what: Geometry) -> Layout:
    """The layout of a dataset of depth or normals."""
    return Layout(partial(write_geometry, what=what), geometry_patterns(what))


def pose_layout(name: str) -> Layout:
    """The layout of a keypoint dataset."""
    # Imported late: the other layouts need neither PyTorch nor its seconds to start.
    from pose.metainfo import COCO, COCO_WHOLEBODY, GOLIATH

    pose = {
        "coco": PoseLayout(
            "person_keypoints_{split}", COCO.keypoints, {"body": range(len(COCO.keypoints))}
        ),
        "coco_wholebody": PoseLayout(
            "coco_wholebody_{split}", COCO_WHOLEBODY.keypoints, COCO_WHOLEBODY.groups
        ),
        "goliath_pose": PoseLayout(
            "person_keypoints_{split}",
            GOLIATH.keypoints,
            GOLIATH.groups,
            whole_field="goliath_wholebody_kpts",
            most_people=1,
        ),
    }[name]
    return Layout(
        partial(write_pose, layout=pose),
        pose.patterns,
        has_val=True,
        finish=partial(write_annotations, layout=pose),
    )


# Layout -> (what makes it, the default height and width of a picture).
LAYOUTS: dict[str, tuple[Callable[[], Layout], tuple[int, int]]] = {
    "face": (lambda: Layout(write_face, FACE_PATTERNS), (512, 512)),
    "goliath": (lambda: parts_layout(GOLIATH), (256, 192)),
    "lip": (lambda: parts_layout(LIP), (256, 192)),
    "cihp": (lambda: parts_layout(CIHP), (256, 256)),
    "depth": (lambda: geometry_layout("depths"), (256, 192)),
    "normal": (lambda: geometry_layout("normals"), (256, 192)),
    "coco": (lambda: pose_layout("coco"), (320, 384)),
    "coco_wholebody": (lambda: pose_layout("coco_wholebody"), (480, 576)),
    "goliath_pose": (lambda: pose_layout("goliath_pose"), (512, 384)),
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    layouts = parser.add_subparsers(dest="layout", required=True)
    for name, (_, size_hw) in LAYOUTS.items():
        layout = layouts.add_parser(name, help=f"write the {name} layout")
        layout.add_argument("out_dir", type=Path)
        layout.add_argument("--num", type=int, default=200, help="number of pictures")
        layout.add_argument(
            "--num-val", type=int, default=0, help="number of pictures of the validation split"
        )
        layout.add_argument(
            "--size",
            type=int,
            nargs="+",
            default=size_hw,
            metavar=("H", "W"),
            help=f"height and width in pixels, or one number for both; default {size_hw}",
        )
        layout.add_argument("--seed", type=int, default=0)
        if name != "face":
            layout.add_argument(
                "--variety",
                type=share,
                default=1.0,
                help="of poses and views, from 0 (all people stand still, seen from the front) to "
                "1 (default); with little of it, a short training shows what it can learn",
            )
        layout.add_argument("--workers", type=int, default=1, help="number of processes")
        layout.add_argument(
            "--overwrite", action="store_true", help="delete the layout's files in out_dir first"
        )
    args = parser.parse_args(argv)
    if len(args.size) > 2:
        parser.error(f"--size takes one or two numbers, found {len(args.size)}")
    args.size_hw = (args.size[0], args.size[-1])
    return args


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
        return
    # Not forked, as a copy of OpenCV's threads may hang.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        yield from pool.map(job, range(num), chunksize=4)


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the pictures."""
    args = parse_args(argv)
    layout = LAYOUTS[args.layout][0]()
    if args.num_val and not layout.has_val:
        raise DataError(
            f"--num-val={args.num_val}: the layout {args.layout!r} has no validation split. Leave "
            'it out; the dataset holds some pictures out with split="train" and split="val".'
        )
    prepare(args.out_dir, layout.patterns, args.overwrite)
    options = {name: vars(args)[name] for name in ("seed", "variety") if name in args}
    splits: dict[Split, int] = {"train": args.num, "val": args.num_val}
    for split, num in splits.items():
        if not num:
            continue
        job = partial(layout.write, args.out_dir, split, size_hw=args.size_hw, **options)
        done = run_all(job, num, args.workers)
        results = list(track(done, description=f"{args.out_dir} {split}", total=num))
        if layout.finish:
            layout.finish(args.out_dir, split, results)


if __name__ == "__main__":
    run_main(main)
