"""Softmax cross entropy over label maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.errors import ConfigError
from seg.registry import MODELS


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """Class-weighted cross entropy, averaged over pixels.

    The average divides ``sum_i w[y_i] * CE_i`` by the number of *all* pixels, ignored ones
    included, as the release does (``reduction`` "none" and "mean" are its two spellings of this),
    or by the number of valid pixels with ``avg_non_ignore=True``. It is never divided by the sum of
    the weights.

    Args:
        class_weight: One weight a class, or None for equal ones.
        loss_weight: Factor of the result.
        avg_non_ignore: Average over valid pixels only.
        ignore_index: Label of pixels that do not count.
        reduction: "mean" or "none"; both give the same scalar.
        use_sigmoid: Only False; kept so that configs of the release can be read.
        loss_name: Name under which the loss is logged.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        class_weight: Sequence[float] | None = None,
        loss_weight: float = 1.0,
        avg_non_ignore: bool = False,
        ignore_index: int = 255,
        reduction: str = "mean",
        use_sigmoid: bool = False,
        loss_name: str = "loss_ce",
    ) -> None:
        super().__init__()
        if use_sigmoid or reduction not in ("mean", "none"):
            raise ConfigError(
                f"CrossEntropyLoss: use_sigmoid={use_sigmoid}, reduction={reduction!r} is not "
                "supported; expected use_sigmoid=False and reduction 'mean' or 'none'."
            )
        self.loss_weight = loss_weight
        self.avg_non_ignore = avg_non_ignore
        self.ignore_index = ignore_index
        self.loss_name = loss_name
        weight = None if class_weight is None else torch.tensor(class_weight, dtype=torch.float32)
        self.register_buffer("class_weight", weight, persistent=False)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Computes the loss.

        Args:
            pred: Logits (B, C, h, w); of another size than the labels, they are resized bilinearly.
            target: Labels (B, H, W), integers in [0, C) or ``ignore_index``.
            weight: Optional factor a pixel (B, H, W).

        Returns:
            Scalar. Zero, with a gradient of zero, if no pixel is valid.

        Raises:
            ConfigError: If the number of class weights is not C.
        """
        if self.class_weight is not None and len(self.class_weight) != pred.shape[1]:
            raise ConfigError(
                f"CrossEntropyLoss: {len(self.class_weight)} class weights for "
                f"{pred.shape[1]} classes."
            )
        valid = (target != self.ignore_index).sum().clamp(min=1)
        return (
            self.loss_weight
            * self._sum(pred, target, weight)
            / (valid if self.avg_non_ignore else target.numel())
        )

    def _sum(self, pred: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """Sums over all pixels, image by image.

        Maps of the target's size, a float32 for each class and pixel, exist for one image at a time
        only: the backward pass computes them again, which is cheap.
        """
        weights = [None] * len(pred) if weight is None else weight.split(1)
        sums = [
            checkpoint(self._image_sum, *image, use_reentrant=False, preserve_rng_state=False)
            for image in zip(pred.split(1), target.split(1), weights, strict=True)
        ]
        return torch.stack(sums).sum()

    def _image_sum(self, pred: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        pred = pred.float()
        if pred.shape[-2:] != target.shape[-2:]:
            pred = F.interpolate(pred, target.shape[-2:], mode="bilinear")
        loss = F.cross_entropy(
            pred,
            target.long(),
            weight=self.class_weight,
            ignore_index=self.ignore_index,
            reduction="sum" if weight is None else "none",
        )
        return loss if weight is None else (loss * weight).sum()
