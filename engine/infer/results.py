"""Writes results in threads, beside the model, and keeps what failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import PixelData
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.infer.images import InputImage
from engine.infer.predict import Failure
from engine.infer.writer import Writer

_THREADS = max(2, os.cpu_count() or 1)
_MAX_WAITING = 2 * _THREADS

MaskOf = Callable[[str, tuple[int, int]], NDArray]
"""Returns the mask (H, W) uint8 of an image, by the stem of its results and its (H, W)."""


class Results:
    """Writes results in as many threads as there are cores, and collects failures.

    Args:
        writer: Of the task.
        out_dir: Folder of the results.
        mask_of: Says where the foreground of an image is, to a writer that wants to know.
        finish: Whether to write, at the end, what is of all images; not for a share of them.

    Attributes:
        failures: What could not be done; add to it what failed before it could be written.
    """

    def __init__(
        self,
        writer: Writer,
        out_dir: Path,
        mask_of: MaskOf | None = None,
        finish: bool = True,
    ) -> None:
        self.writer = writer
        self.finish = finish
        self.out_dir = out_dir
        self.mask_of = mask_of
        self.failures: list[Failure] = []
        self._num_written = 0
        self._waiting: list[tuple[InputImage, Future]] = []
        self._pool = ThreadPoolExecutor(max_workers=_THREADS)

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
            pixels = image.read() if self.writer.needs_image else np.empty((0, 0, 3), np.uint8)
        if self.mask_of is not None and self.writer.needs_image:
            set_mask(sample, self.mask_of(image.out_stem, (pixels.shape[0], pixels.shape[1])))
        self.writer.write(sample, pixels, out_stem)
        if self.finish:
            self.writer.collect(sample)

    def _finish_first(self) -> None:
        image, future = self._waiting[0]
        error = future.exception()  # Ctrl-C may come here: it waits
        del self._waiting[0]
        if error is None:
            self._num_written += 1
        else:
            self.failures.append(Failure.of(image, error))

    def recall(self, images: Iterable[InputImage]) -> None:
        """Takes images as written whose results an earlier run has left."""
        for image in images:
            if self.finish:
                self.writer.recall(image, self.out_dir)
            self._num_written += 1

    def close(self) -> int:
        """Waits for all results; returns how many there are."""
        while self._waiting:
            self._finish_first()
        self._pool.shutdown()
        if self._num_written and self.finish:
            self.writer.finish(self.out_dir)
        return self._num_written


def set_mask(sample: DataSample, mask: NDArray) -> None:
    """Sets ``sample.mask`` (1, H, W) to a mask (H, W), within people's boxes if it has those."""
    inside = sample.mask.data if "mask" in sample else 1
    sample.mask = PixelData(data=torch.from_numpy(mask)[None] * inside)
