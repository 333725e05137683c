"""The model of depth and of normals, its heads, which predict numbers a pixel, and their losses.

No loss turns a number that is not finite into zero: the training loop stops and saves the batch. It
computes such a loss again without gradients, which blames the targets, if they are the reason, by a
``DataError``; in a step nobody looks, as reading a number waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError, DataError
from engine.model.base import Targets
from engine.model.views import mean_of_views, resize_through
from seg.dense import DenseHead, DenseModel
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
        return f"pred_{self.decode_head.field}_map"

    def target(self, targets: Targets) -> Tensor:
        """The map (B, C, H, W)."""
        return targets[self.decode_head.field]

    def synthetic_targets(self, inputs: Tensor) -> dict[str, Tensor]:
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
        **kwargs: Layers: see :class:`seg.dense.DenseHead`.
    """

    num_channels: ClassVar[int]
    """Of the map."""
    field: ClassVar[str]
    """Row of the field table that the targets are of, packed as ``gt_<field>_map``."""
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
        super().__init__(in_channels, self.num_channels, **kwargs)
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
    default_layers: ClassVar = {
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
    default_losses = ("CosineSimilarityLoss", "L1Loss")

    def finish(self, values: Tensor) -> Tensor:
        """Normalises vectors (B, 3, H, W); one of length zero stays as it is."""
        return F.normalize(values, dim=1)

    def unflip(self, raw: Tensor) -> Tensor:
        """Mirrors the picture, and the vectors in it."""
        return raw.flip(-1) * raw.new_tensor([-1.0, 1.0, 1.0]).view(3, 1, 1)


@MODELS.register_module()
class SiLogLoss(nn.Module):
    """Scale-invariant logarithmic error (Eigen et al., 2014, eq. 4, lambda = 0.5).

    An image's loss is ``sqrt(mean(g^2) - 0.5 mean(g)^2)`` over its valid pixels, with ``g = log
    target - log pred``; the loss is the mean over the images, and one without valid pixels counts
    as 0.

    Without ``floor`` this is the release's arithmetic: both are clamped at ``eps``, so a prediction
    at or below it gets no gradient, and a target at or below it does not count, among them the
    nearest pixel. With ``floor``, the logarithm goes on below it as its tangent, ``log floor + (x -
    floor) / floor``: every prediction gets a gradient, and every target from 0 counts.

    Args:
        loss_weight: Factor of the result.
        eps: See above.
        floor: See above; positive. 0.01 is a hundredth of a person's depth.
        loss_name: Name under which the loss is logged.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        eps: float = 1e-6,
        floor: float | None = None,
        loss_name: str = "loss_silog",
    ) -> None:
        super().__init__()
        if floor is not None and floor <= 0:
            raise ConfigError(f"SiLogLoss: floor is positive, or None; found {floor}.")
        self.loss_weight = loss_weight
        self.eps = eps
        self.floor = floor
        self.loss_name = loss_name

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Computes the loss.

        Args:
            pred: Relative depth (B, 1, H, W), any real.
            target: (B, 1, H, W) in [0, 1], 0 near; negative in the background.
            weight: Optional factor a pixel (B, 1, H, W).

        Returns:
            Scalar.

        Raises:
            DataError: If the target is not finite, and no gradients are asked for.
        """
        # Negated, so that NaN counts as valid and shows in the result.
        valid = ~(target <= self.eps) if self.floor is None else ~(target < 0)
        g = self._log(target) - self._log(pred)
        share = valid.to(g.dtype) if weight is None else valid * weight
        total = share.sum((1, 2, 3)).clamp(min=self.eps)
        mean = (share * g).sum((1, 2, 3)) / total
        square = (share * g * g).sum((1, 2, 3)) / total
        loss = _safe_sqrt(square - 0.5 * mean**2).mean()
        _require_finite_target(loss, target, self.loss_name)
        return self.loss_weight * loss

    def _log(self, x: Tensor) -> Tensor:
        if self.floor is None:
            return x.clamp(min=self.eps).log()
        tangent = math.log(self.floor) + (x - self.floor) / self.floor
        return torch.where(x >= self.floor, x.clamp(min=self.floor).log(), tangent)


class NormalLoss(nn.Module):
    """An error of normals, averaged over all valid pixels of the batch.

    Args:
        loss_weight: Factor of the result.
        eps: Pixels whose target has X at or below it do not count.
        loss_name: Name under which the loss is logged, if not ``default_name``.
    """

    default_name: ClassVar[str]

    def __init__(
        self, loss_weight: float = 1.0, eps: float = -100.0, loss_name: str | None = None
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.eps = eps
        self.loss_name = loss_name or self.default_name

    def error(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compares normals (B, 3, H, W); returns (B, 1, H, W)."""
        raise NotImplementedError

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Computes the loss.

        Args:
            pred: Normals (B, 3, H, W) of any length.
            target: Unit normals (B, 3, H, W); -1000 in the background.
            weight: Optional factor a pixel (B, 1, H, W).

        Returns:
            Scalar; zero, with a gradient of zero, if no pixel is valid.

        Raises:
            DataError: If the target is not finite, and no gradients are asked for.
        """
        valid = ~(target[:, :1] <= self.eps)  # negated, so that NaN counts and shows in the result
        share = valid if weight is None else valid * weight
        # Zeroes the background's error, but keeps NaN there.
        loss = (self.error(pred, target) * share).sum() / valid.sum().clamp(min=1)
        _require_finite_target(loss, target, self.loss_name)
        return self.loss_weight * loss


@MODELS.register_module()
class CosineSimilarityLoss(NormalLoss):
    """One minus the cosine between normals; for arguments see :class:`NormalLoss`."""

    default_name = "loss_cosine_sim"

    def error(self, pred: Tensor, target: Tensor) -> Tensor:
        """See base class."""
        return 1 - F.cosine_similarity(pred, target, dim=1, eps=1e-6)[:, None]


@MODELS.register_module()
class L1Loss(NormalLoss):
    """L1 norm of the difference of normals; for arguments see :class:`NormalLoss`.

    The norm sums over the three channels, as in the release: three times the mean over elements.
    """

    default_name = "loss_l1"

    def error(self, pred: Tensor, target: Tensor) -> Tensor:
        """See base class."""
        return (pred - target).abs().sum(1, keepdim=True)


def _safe_sqrt(x: Tensor) -> Tensor:
    """The square root, with a gradient of 0 instead of infinity at 0, and at what rounding leaves
    below.
    """
    flat = x <= 0
    return torch.where(flat, 0.0, torch.where(flat, 1.0, x).sqrt())


def _require_finite_target(loss: Tensor, target: Tensor, name: str) -> None:
    if torch.compiler.is_compiling() or loss.requires_grad or loss.isfinite():
        return
    bad = [i for i, image in enumerate(target) if not image.isfinite().all()]
    if bad:
        raise DataError(
            f"{name}: the targets of the images {bad} of the batch hold NaN or infinity. Check the "
            "transforms between loading and GenerateDepthTarget or GenerateNormalTarget."
        )
