"""Squared errors of heatmaps."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError
from pose.registry import MODELS


def _errors(pred: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each heatmap: (B, K, h, w) twice -> (B, K)."""
    return F.mse_loss(pred.float(), target, reduction="none").mean(dim=(2, 3))


@MODELS.register_module()
class KeypointMSELoss(nn.Module):
    """Mean squared error, each heatmap times its weight.

    The mean is over all pixels of all heatmaps; those of weight 0 count as 0, in the denominator
    too, as in the release.

    Args:
        use_target_weight: Use the weights; without, all heatmaps count.
        loss_weight: Factor of the result.
    """

    def __init__(self, use_target_weight: bool = True, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.use_target_weight = use_target_weight
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Computes the loss.

        Args:
            pred: Heatmaps (B, K, h, w), any real.
            target: Heatmaps (B, K, h, w) in [0, 1].
            weight: Of each heatmap (B, K).

        Returns:
            Scalar.
        """
        errors = _errors(pred, target)
        if self.use_target_weight and weight is not None:
            errors = errors * weight
        return self.loss_weight * errors.mean()


@MODELS.register_module()
class KeypointOHKMMSELoss(KeypointMSELoss):
    """Mean squared error of each person's hardest keypoints (Chen et al., 2018, sec. 3.2.2).

    Args:
        use_target_weight: Multiply predictions and targets by the weights first.
        topk: How many keypoints of a person count.
        loss_weight: Factor of the result.
    """

    def __init__(
        self, use_target_weight: bool = True, topk: int = 8, loss_weight: float = 1.0
    ) -> None:
        super().__init__(use_target_weight, loss_weight)
        self.topk = topk

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Computes the loss; for arguments see :class:`KeypointMSELoss`.

        Raises:
            ConfigError: If there are fewer than ``topk`` keypoints.
        """
        if not 1 <= self.topk <= pred.shape[1]:
            raise ConfigError(
                f"KeypointOHKMMSELoss: topk={self.topk}, but there are {pred.shape[1]} keypoints."
            )
        errors = _errors(pred, target)
        if self.use_target_weight and weight is not None:
            errors = errors * weight.square()
        hardest = errors.topk(self.topk, dim=1, sorted=False).values
        return self.loss_weight * hardest.mean()
