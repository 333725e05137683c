"""From predictions to files, and to the exit code."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from mmengine.structures import PixelData
from numpy.typing import NDArray

from engine.data.loading import read_image
from engine.data.sample import DataSample
from engine.infer.images import InputImage
from engine.infer.predict import Failure
from engine.infer.writer import Writer

_MAX_WAITING = 8


class Results:
    """Writes results in threads, at most 8 at a time, and collects failures.

    Args:
        writer: Of the task.
        out_dir: Folder of the results.
        mask_of: Returns the mask (H, W) uint8 that the writer gets for an image, by the stem of its
            results and its (H, W); None for none.

    Attributes:
        failures: What could not be done; add to it what failed before it could be written.
    """

    def __init__(
        self,
        writer: Writer,
        out_dir: Path,
        mask_of: Callable[[str, tuple[int, int]], NDArray] | None = None,
    ) -> None:
        self.writer = writer
        self.out_dir = out_dir
        self.mask_of = mask_of
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
        while len(self._waiting) >= _MAX_WAITING:
            self._finish_first()

    def _write(self, image: InputImage, sample: DataSample, pixels: NDArray | None) -> None:
        out_stem = self.out_dir / image.out_stem
        out_stem.parent.mkdir(parents=True, exist_ok=True)
        if pixels is None:
            pixels = read_image(image.path)
        if self.mask_of is not None:
            mask = self.mask_of(image.out_stem, (pixels.shape[0], pixels.shape[1]))
            sample.mask = PixelData(data=torch.from_numpy(mask)[None])
        self.writer.write(sample, pixels, out_stem)

    def _finish_first(self) -> None:
        image, future = self._waiting.pop(0)
        error = future.exception()
        if error is None:
            self._num_written += 1
        else:
            self.failures.append(Failure.of(image, error))

    def close(self) -> int:
        """Waits for all results, and writes what is of all of them; returns how many there are."""
        while self._waiting:
            self._finish_first()
        self._pool.shutdown()
        if self._num_written:
            self.writer.finish(self.out_dir)
        return self._num_written
