"""The model of depth and of normals, and its heads, which predict numbers a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError
from engine.model.base import Targets
from engine.model.views import mean_of_views, resize_through
from seg.dense import DenseModel
from seg.head import DenseHead
from seg.registry import MODELS


@MODELS.register_module()
class DepthEstimator(DenseModel):
    """Depth with a ``VitDepthHead``, or normals with a ``VitNormalHead``.

    Adds ``pred_depth_map`` (1, H, W) or ``pred_normal_map`` (3, H, W), float32; normals are
    normalised after the last resizing. For arguments see :class:`seg.dense.DenseModel`.
    """

    @property
    def prediction(self) -> str:
        """``pred_depth_map`` or ``pred_normal_map``."""
        return f"pred_{self.decode_head.name}"

    def target(self, targets: Targets) -> Tensor:
        """The map (B, C, H, W)."""
        return targets[self.decode_head.field]

    def synthetic_targets(self, inputs: Tensor) -> Targets:
        """Returns random maps."""
        shape = (len(inputs), self.decode_head.num_classes, *inputs.shape[-2:])
        maps = self.decode_head.finish(torch.rand(shape, device=inputs.device))
        return {self.decode_head.field: maps}

    def unflip(self, raw: Tensor) -> Tensor:
        """Mirrors maps, and what they say of directions."""
        return self.decode_head.unflip(raw)

    def finish(self, views: Sequence[Tensor], sizes_hw: Sequence[tuple[int, int]]) -> Tensor:
        """The map (C, H, W)."""
        mean = mean_of_views([view[None] for view in views])
        return self.decode_head.finish(resize_through(mean, sizes_hw))[0]


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
    default_layers: ClassVar[dict[str, Any]] = {}
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
    default_layers: ClassVar[dict[str, Any]] = {
        "deconv_out_channels": (384, 384, 384, 384),
        "deconv_kernel_sizes": (4, 4, 4, 4),
        "conv_out_channels": (384, 384),
        "conv_kernel_sizes": (1, 1),
    }
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
