"""From predictions to files, and to the exit code."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from mmengine.structures import PixelData
from numpy.typing import NDArray

from engine.data.loading import read_image
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.infer.images import InputImage
from engine.infer.masks import load_mask
from engine.infer.predict import Failure
from engine.infer.writer import Writer


class Results:
    """Writes results in threads, at most ``max_waiting`` at a time, and collects failures.

    Args:
        writer: Of the task.
        out_dir: Folder of the results.
        seg_dir: Masks for the writer, as segmentation writes them.
        max_waiting: Results that may wait for the disk.

    Attributes:
        failures: What could not be done; add to it what failed before it could be written.

    Raises:
        ConfigError: If the writer takes no masks, or would replace them.
    """

    def __init__(
        self, writer: Writer, out_dir: Path, seg_dir: Path | None = None, max_waiting: int = 8
    ) -> None:
        if seg_dir is not None:
            _check_masks(writer, seg_dir, out_dir)
        self.writer = writer
        self.out_dir = out_dir
        self.seg_dir = seg_dir
        self.max_waiting = max_waiting
        self.failures: list[Failure] = []
        self._num_written = 0
        self._waiting: list[tuple[InputImage, Future]] = []
        self._pool = ThreadPoolExecutor(max_workers=2)

    def add(self, image: InputImage, sample: DataSample, pixels: NDArray | None = None) -> None:
        """Queues one result; waits while the queue is full.

        Args:
            image: The file.
            sample: Its prediction.
            pixels: Its pixels (H, W, 3) BGR, if they are at hand.
        """
        self._waiting.append((image, self._pool.submit(self._write, image, sample, pixels)))
        while len(self._waiting) >= self.max_waiting:
            self._finish_first()

    def _write(self, image: InputImage, sample: DataSample, pixels: NDArray | None) -> None:
        out_stem = self.out_dir / image.out_stem
        out_stem.parent.mkdir(parents=True, exist_ok=True)
        if pixels is None:
            pixels = read_image(image.path)
        if self.seg_dir is not None:
            mask = load_mask(self.seg_dir, image.out_stem, pixels.shape[:2])
            sample.mask = PixelData(data=torch.from_numpy(mask)[None])
        self.writer.write(sample, pixels, out_stem)

    def _finish_first(self) -> None:
        image, future = self._waiting.pop(0)
        error = future.exception()
        if error is None:
            self._num_written += 1
        else:
            self.failures.append(Failure(image, f"{type(error).__name__}: {error}"))

    def close(self) -> int:
        """Waits for all results, and writes what is of all of them; returns how many there are."""
        while self._waiting:
            self._finish_first()
        self._pool.shutdown()
        if self._num_written:
            self.writer.finish(self.out_dir)
        return self._num_written


def _check_masks(writer: Writer, seg_dir: Path, out_dir: Path) -> None:
    if not writer.takes_masks:
        name = type(writer).__name__
        raise ConfigError(f"--seg-dir: {name} takes no masks; depth and normals do.")
    if not seg_dir.is_dir() or seg_dir.resolve() == out_dir.resolve():
        raise ConfigError(
            f"--seg-dir {str(seg_dir)!r}: expected a folder of masks, and not that of --output, "
            "whose .npy files would replace them."
        )
