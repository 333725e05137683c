"""Batches of packed samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.registry import FUNCTIONS
from torch.utils.data import default_collate

from engine.errors import DataError


@FUNCTIONS.register_module()
def collate_samples(batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stacks the images of packed samples.

    In a worker the stack is made in shared memory, so that handing it over copies nothing.

    Returns:
        ``{"inputs": (B, 3, H, W) uint8, "data_samples": list of B}``.

    Raises:
        DataError: If the images differ in size.
    """
    images = [packed["inputs"] for packed in batch]
    samples = [packed["data_samples"] for packed in batch]
    if len({image.shape for image in images}) > 1:
        sizes = ", ".join(
            f"{sample.metainfo.get('img_path', '?')} {image.shape[1]}x{image.shape[2]}"
            for sample, image in zip(samples, images, strict=True)
        )
        raise DataError(
            f"a batch needs images of one size, found (height x width): {sizes}. End the "
            'pipeline\'s geometry with dict(type="Resize"), or use batch_size=1.'
        )
    return {"inputs": default_collate(images), "data_samples": samples}
