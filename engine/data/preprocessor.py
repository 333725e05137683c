"""What happens to a batch on the device, before the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS

from engine.errors import ConfigError


@MODELS.register_module()
class DataPreprocessor(BaseDataPreprocessor):
    """Moves a batch to the device and normalises its images there.

    Args:
        mean: Of each channel, 0..255, in the order the model takes them (RGB by default).
        std: Likewise.
        bgr_to_rgb: Reverse the channels, which pipelines deliver as BGR, before normalising.
        non_blocking: Copy to the device asynchronously (from pinned memory).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        *,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        bgr_to_rgb: bool = True,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        self.bgr_to_rgb = bgr_to_rgb
        for name, values in (("mean", mean), ("std", std)):
            buffer = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalises a collated batch.

        Args:
            data: ``inputs`` (B, 3, H, W) uint8, and ``data_samples``.
            training: Unused; part of MMEngine's interface.

        Returns:
            ``inputs`` (B, 3, H, W) float32, and ``data_samples``, on the device of the buffers.

        Raises:
            ConfigError: If ``inputs`` is not one stacked tensor.
        """
        if not isinstance(data["inputs"], torch.Tensor) or data["inputs"].dim() != 4:
            raise ConfigError(
                "inputs must be one tensor (B, 3, H, W): give the dataloader "
                'collate_fn=dict(type="collate_samples").'
            )
        data = self.cast_data(data)
        images = data["inputs"]
        if self.bgr_to_rgb:
            images = images.flip(1)
        return {**data, "inputs": images.float().sub_(self.mean).div_(self.std)}

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """Turns normalised images (B, 3, H, W) back into pixels, uint8, in the model's channel
        order.
        """
        pixels = images * self.std + self.mean
        return pixels.round_().clamp_(0, 255).to(torch.uint8)
