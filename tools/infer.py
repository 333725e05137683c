"""Predicts images and writes the results as arrays and pictures.

    python tools/infer.py CONFIG CHECKPOINT --input photos --output results
    python tools/infer.py CONFIG CHECKPOINT --input "photos/**/*.jpg" --output results

--input is an image, a folder (with its sub-folders), a pattern, or a .txt file of paths.
Segmentation writes <stem>_seg.npy (uint8 labels), <stem>.npy (bool foreground) and <stem>.png,
at the size of the image. An unreadable image is reported, the others are done, and the exit code is
1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from engine.cli import CfgOptions, run_main
from engine.config import load_config
from engine.data.loading import read_image
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.infer import Failure, InputImage, find_images, init_model, predict_images
from engine.registry import WRITERS


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of the config")
    parser.add_argument("checkpoint", help="path of the weights")
    parser.add_argument("--input", required=True, help="image, folder, pattern or .txt list")
    parser.add_argument("--output", required=True, metavar="DIR", help="results go here")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--num-workers", type=int, default=2, help="processes that read images")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1"
    )
    parser.add_argument("--opacity", type=float, default=0.5, help="of the colours, 0 to 1")
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions, help="override config keys")
    return parser.parse_args()


class Results:
    """Writes results in threads, at most ``max_waiting`` at a time, and collects failures."""

    def __init__(self, writer: object, out_dir: Path, max_waiting: int = 8) -> None:
        self.writer = writer
        self.out_dir = out_dir
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
        self.writer.write(sample, read_image(image.path), out_stem)  # type: ignore[attr-defined]

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


def refuse_overwriting(images: list[InputImage], out_dir: Path, suffixes: tuple[str, ...]) -> None:
    """Raises ConfigError if a result would replace one of the images."""
    sources = {image.path.resolve() for image in images}
    for image in images:
        for suffix in suffixes:
            target = (out_dir / f"{image.out_stem}{suffix}").resolve()
            if target in sources:
                raise ConfigError(
                    f"--output {str(out_dir)!r}: {target} is an input image and would be "
                    "overwritten; choose another folder."
                )


def main() -> int:
    """Runs the inference; returns the exit code."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    images = find_images(args.input)
    model, dataset_meta = init_model(cfg, args.checkpoint, args.device)
    writer = WRITERS.build({**cfg.writer, "dataset_meta": dataset_meta, "opacity": args.opacity})
    refuse_overwriting(images, Path(args.output), writer.suffixes)

    results = Results(writer, Path(args.output))
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
