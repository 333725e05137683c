"""Predicts images and writes the results as arrays and pictures.

    python tools/infer.py CONFIG CHECKPOINT --input photos --output results
    python tools/infer.py CONFIG CHECKPOINT --input "photos/**/*.jpg" --output results
    python tools/infer.py DEPTH_CONFIG CHECKPOINT --input photos --output depth --seg-dir results

--input is an image, a folder (with its sub-folders), a pattern, or a .txt file of paths.
All results but features are of the size of the image:

    segmentation  <stem>_seg.npy (uint8 labels), <stem>.npy (bool foreground), <stem>.png
    depth         <stem>.npy (float32 relative depth, 0 near), <stem>.png
    normals       <stem>.npy (float32 unit vectors; axes: docs/normals.md), <stem>.png
    features      <stem>.npy (channels, rows, columns of patches), <stem>_attention.png

--seg-dir names masks for the pictures of depth and normals: <stem>.npy or .png, not zero on the
person; the foreground that segmentation writes is one. An unreadable image is reported, the others
are done, and the exit code is 1.

With the config of a pose model, this is tools/infer_pose.py, which has options of its own:

    python tools/infer.py POSE_CONFIG --help
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from rich.console import Console
from rich.progress import track

from engine.cli import add_inference_arguments, check_device, run_main, share
from engine.config import load_config
from engine.config.walk import parameters
from engine.data.loading import read_image
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.infer import (
    Failure,
    InputImage,
    check_results,
    find_images,
    init_model,
    load_mask,
    predict_images,
)
from engine.model.base import BaseModel
from engine.registry import WRITERS


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_inference_arguments(parser, "image, folder, pattern or .txt list", 1, "images")
    parser.add_argument("--opacity", type=share, help="of a segmentation's colours, 0 to 1")
    parser.add_argument("--seg-dir", type=Path, metavar="DIR", help="masks for depth and normals")
    parser.add_argument(
        "--flip", action="store_true", help="average with the mirrored image, in twice the time"
    )
    return parser.parse_args()


class Results:
    """Writes results in threads, at most ``max_waiting`` at a time, and collects failures."""

    def __init__(
        self, writer: Any, out_dir: Path, seg_dir: Path | None = None, max_waiting: int = 8
    ) -> None:
        self.writer = writer
        self.out_dir = out_dir
        self.seg_dir = seg_dir
        self.max_waiting = max_waiting
        self.failures: list[Failure] = []
        self.waiting: list[tuple[InputImage, Future]] = []
        self.pool = ThreadPoolExecutor(max_workers=2)

    def add(self, image: InputImage, sample: DataSample) -> None:
        """Queues one result; waits while the queue is full."""
        self.waiting.append((image, self.pool.submit(self._write, image, sample)))
        while len(self.waiting) >= self.max_waiting:
            self._finish_first()

    def _write(self, image: InputImage, sample: DataSample) -> None:
        out_stem = self.out_dir / image.out_stem
        out_stem.parent.mkdir(parents=True, exist_ok=True)
        pixels = read_image(image.path)
        if self.seg_dir is not None:
            mask = load_mask(self.seg_dir, image.out_stem, pixels.shape[:2])
            sample.mask = PixelData(data=torch.from_numpy(mask)[None])
        self.writer.write(sample, pixels, out_stem)

    def _finish_first(self) -> None:
        image, future = self.waiting.pop(0)
        error = future.exception()
        if error is not None:
            self.failures.append(Failure(image, f"{type(error).__name__}: {error}"))

    def close(self) -> None:
        """Waits for all results."""
        while self.waiting:
            self._finish_first()
        self.pool.shutdown()


def average_with_mirror(model: BaseModel) -> None:
    """Makes the model average over mirrored images; raises ConfigError if it has no such switch."""
    if not hasattr(model, "flip_test"):
        raise ConfigError(
            f"--flip: {type(model).__name__} has no flip_test. For segmentation, set "
            "--cfg-options model.tta.flip=True."
        )
    model.flip_test = True


def build_writer(cfg: Config, dataset_meta: dict, args: argparse.Namespace) -> Any:
    """Builds the config's writer.

    Raises:
        ConfigError: If it does not know an option that was given, or would replace the masks.
    """
    name = cfg.writer.type
    options = {} if args.opacity is None else {"opacity": args.opacity}
    if options and "opacity" not in parameters(WRITERS.get(name)).names:
        raise ConfigError(f"--opacity: {name} draws nothing over the image.")
    writer = WRITERS.build({**cfg.writer, "dataset_meta": dataset_meta, **options})
    if args.seg_dir is None:
        return writer
    if not getattr(writer, "takes_masks", False):
        raise ConfigError(f"--seg-dir: {name} takes no masks; depth and normals do.")
    if not args.seg_dir.is_dir() or args.seg_dir.resolve() == Path(args.output).resolve():
        raise ConfigError(
            f"--seg-dir {str(args.seg_dir)!r}: expected a folder of masks, and not that of "
            "--output, whose .npy files would replace them."
        )
    return writer


def is_pose(argv: Sequence[str]) -> bool:
    """Whether the first file of Python among the arguments is the config of a pose model."""
    path = next((arg for arg in argv if arg.endswith(".py")), None)
    return (
        path is not None
        and Path(path).is_file()
        and load_config(path).get("default_scope") == "pose"
    )


def main() -> int:
    """Runs the inference; returns the exit code."""
    if is_pose(sys.argv[1:]):
        import infer_pose  # beside this file

        return infer_pose.main()
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    images = find_images(args.input, args.output)
    model, dataset_meta = init_model(cfg, args.checkpoint, check_device(args.device))
    if args.flip:
        average_with_mirror(model)
    writer = build_writer(cfg, dataset_meta, args)
    check_results(images, Path(args.output), writer.suffixes)

    results = Results(writer, Path(args.output), args.seg_dir)
    predictions = predict_images(model, cfg, images, args.batch_size, args.num_workers)
    console = Console(stderr=True)
    for item in _with_progress(predictions, len(images), console):
        if isinstance(item, Failure):
            results.failures.append(item)
        else:
            results.add(*item)
    results.close()

    for image, reason in results.failures:
        console.print(f"failed: {image.path}: {reason}", style="red", markup=False, soft_wrap=True)
    done = len(images) - len(results.failures)
    print(f"{done} of {len(images)} images done; results are in {args.output}")
    return 1 if results.failures else 0


def _with_progress(items: Iterator, total: int, console: Console) -> Iterator:
    yield from track(items, "predicting", total=total, console=console)


if __name__ == "__main__":
    run_main(main)
