"""Heads that predict numbers a pixel: depth, normals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError
from seg.head import DenseHead
from seg.registry import MODELS


class MapHead(DenseHead):
    """The dense head, with regression losses.

    Args:
        in_channels: Channels of the feature map; the estimator fills in the backbone's.
        num_classes: If given, must be the number of channels of the map.
        loss_decode: Config of the loss, or a list of them.
        **kwargs: Layers: see :class:`seg.head.DenseHead`.
    """

    num_channels: ClassVar[int]
    """Of the map."""
    field: ClassVar[str]
    """Row of the field table that the targets are of."""
    name: ClassVar[str]
    """Data samples hold the map as ``gt_<name>`` and ``pred_<name>``."""
    default_layers: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    default_losses: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        in_channels: int,
        num_classes: int | None = None,
        loss_decode: dict | Sequence[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        if num_classes not in (None, self.num_channels):
            raise ConfigError(
                f"{type(self).__name__}: num_classes={num_classes}, but it predicts "
                f"{self.num_channels} numbers a pixel. Leave it out."
            )
        losses = loss_decode or [{"type": name} for name in self.default_losses]
        losses = [losses] if isinstance(losses, Mapping) else list(losses)
        super().__init__(in_channels, self.num_channels, **{**self.default_layers, **kwargs})
        self.loss_decode: nn.Sequential = MODELS.build(losses)

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Computes the losses at the resolution of the target.

        Args:
            raw: Output of :meth:`forward` (B, C, h, w).
            target: (B, C, H, W).

        Returns:
            Each loss under its name.
        """
        pred = F.interpolate(raw.float(), target.shape[-2:], mode="bilinear")
        return {str(loss.loss_name): loss(pred, target) for loss in self.loss_decode}

    def finish(self, values: Tensor) -> Tensor:
        """Turns resized raw output (B, C, H, W) into predictions."""
        return values

    def unflip(self, raw: Tensor) -> Tensor:
        """Turns the raw output for mirrored images into that for the images."""
        return raw.flip(-1)


@MODELS.register_module()
class VitDepthHead(MapHead):
    """Predicts relative depth (B, 1, 16 h, 16 w): 0 near, 1 far, unbounded."""

    num_channels = 1
    field = "depth"
    name = "depth_map"
    default_layers = MappingProxyType(
        {
            "deconv_out_channels": (384, 384, 384, 384),
            "deconv_kernel_sizes": (4, 4, 4, 4),
            "conv_out_channels": (384, 384),
            "conv_kernel_sizes": (1, 1),
        }
    )
    default_losses = ("SiLogLoss",)


@MODELS.register_module()
class VitNormalHead(MapHead):
    """Predicts normals (B, 3, 8 h, 8 w): x right, y up, z towards the camera; of any length."""

    num_channels = 3
    field = "normal"
    name = "normal_map"
    default_losses = ("CosineSimilarityLoss", "L1Loss")

    def finish(self, values: Tensor) -> Tensor:
        """Normalises vectors (B, 3, H, W); one of length zero stays as it is."""
        return F.normalize(values, dim=1)

    def unflip(self, raw: Tensor) -> Tensor:
        """Mirrors the picture, and the vectors in it."""
        return raw.flip(-1) * raw.new_tensor([-1.0, 1.0, 1.0]).view(3, 1, 1)
