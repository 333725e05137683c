"""The model of depth and of normals: its head predicts numbers a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.model.base import Targets
from engine.model.views import mean_of_views, resize_through
from seg.dense import DenseModel
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
