"""The formats that hold a graph, and how any of them runs batches of any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.errors import WeightsError
from mmsapiens.export import onnx_file, pt2, torchscript


class Format(NamedTuple):
    """A format.

    Attributes:
        ending: Of its files' names.
        write: Writes a network: see :func:`mmsapiens.export.torchscript.write`.
        open: Opens a file on a device.
        is_safe: Whether a file can be opened that somebody else made.
    """

    ending: str
    write: Callable[..., None]
    open: Callable[[Path, torch.device], Any]
    is_safe: bool


FORMATS = {
    "torchscript": Format(torchscript.ENDING, torchscript.write, torchscript.open_graph, False),
    "pt2": Format(pt2.ENDING, pt2.write, pt2.open_graph, False),
    "aot": Format(pt2.AOT_ENDING, pt2.write_aot, pt2.open_aot, False),
    "onnx": Format(onnx_file.ENDING, onnx_file.write, onnx_file.open_graph, True),
}
"""By what the metadata calls them."""


class Graph:
    """An exported file, opened.

    Args:
        path: The file; what is not :attr:`Format.is_safe` may run code.
        metadata: What it says of itself.
        device: Where it runs.

    Raises:
        WeightsError: The file cannot be opened.
    """

    def __init__(self, path: Path, metadata: dict[str, Any], device: torch.device) -> None:
        self.path, self.metadata, self.device = path, metadata, device
        kind = metadata["file"]
        if kind not in FORMATS:
            raise WeightsError(
                f"{path}: its metadata names the format {kind!r}, which has no graph."
            )
        try:
            self._run = FORMATS[kind].open(path, device)
        except (RuntimeError, AssertionError, KeyError, ImportError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise WeightsError(
                f"{path} was written by torch {metadata['torch']} and cannot be opened by torch "
                f"{torch.__version__}: {reason}. Export its checkpoint again."
            ) from error

    @property
    def batch(self) -> int | None:
        """The size that all batches have; None if they are free."""
        batch = self.metadata["input"]["batch"]
        return batch if isinstance(batch, int) else None

    def __call__(self, images: Tensor) -> Tensor:
        """Maps images (B, 3, H, W), as the file takes them, to float32 raw output (B, C, h, w).

        Raises:
            WeightsError: The images are of another size than the file's.
        """
        size_hw = tuple(self.metadata["input"]["size_hw"])
        if tuple(images.shape[-2:]) != size_hw:
            raise WeightsError(
                f"{self.path} takes images of {size_hw} (height, width), and is given "
                f"{tuple(images.shape[-2:])}. Set input_size_hw={size_hw}, or export that size."
            )
        batch = self.batch or len(images)
        return torch.cat([self._run_one(part, batch) for part in images.split(batch)])

    def _run_one(self, images: Tensor, batch: int) -> Tensor:
        """Fills the batch with its last image, and leaves out what comes of that."""
        num = len(images)
        filled = torch.cat([images, images[-1:].expand(batch - num, -1, -1, -1)])
        raw: Tensor = self._run(filled.contiguous())
        return raw[:num].float().to(self.device)
