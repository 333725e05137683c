"""The head that classifies pixels."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from engine.errors import ConfigError
from seg.head import DenseHead
from seg.registry import MODELS


@MODELS.register_module()
class VitHead(DenseHead):
    """Predicts the logits of C classes, (B, C, 8 h, 8 w).

    Args:
        in_channels: Channels of the feature map; the segmentor fills in the backbone's.
        num_classes: Number of classes, the background included.
        ignore_index: Label that does not count.
        loss_decode: Config of the loss; it resizes the logits to the labels.
        **kwargs: Layers: see :class:`seg.head.DenseHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        ignore_index: int = 255,
        loss_decode: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self.ignore_index = ignore_index
        self.loss_decode = MODELS.build(loss_decode or {"type": "CrossEntropyLoss"})
        ignored = getattr(self.loss_decode, "ignore_index", ignore_index)
        if ignored != ignore_index:
            raise ConfigError(
                f"VitHead: ignore_index is {ignore_index}, but its loss ignores {ignored}; set "
                f"loss_decode=dict(..., ignore_index={ignore_index})."
            )

    def loss(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Computes the loss at the resolution of the labels.

        Args:
            logits: Raw output of :meth:`forward` (B, C, h, w).
            labels: (B, H, W) integers.

        Returns:
            The loss under its name, and ``acc_seg``, the percentage of right pixels among the valid
            ones, counted on every second row and column of the logits: a figure for the log need
            not cost what the loss costs.
        """
        some_pred = logits.detach()[..., ::2, ::2].argmax(1)
        some_labels = F.interpolate(labels[:, None].float(), some_pred.shape[1:])[:, 0]
        valid = some_labels != self.ignore_index
        right = (some_pred == some_labels) & valid
        return {
            self.loss_decode.loss_name: self.loss_decode(logits, labels),
            "acc_seg": 100.0 * right.sum() / valid.sum().clamp(min=1),
        }
