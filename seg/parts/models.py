"""The segmentor, its head and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.data.mirror import mirror_order
from engine.errors import ConfigError
from engine.model.base import Targets
from engine.model.views import mean_of_views, resize_through
from seg.dense import DenseHead, DenseModel
from seg.parts.labels import resized_labels
from seg.registry import MODELS


@MODELS.register_module()
class EncoderDecoder(DenseModel):
    """Semantic segmentation: adds ``pred_sem_seg``, uint8 labels (1, H, W).

    Args:
        *args: ``backbone``, ``decode_head``, ...: see :class:`seg.dense.DenseModel`.
        swap_seg_labels: Pairs of labels that a mirror exchanges; ``load_config`` fills in those of
            the dataset. Mirrored views need them.
        keep_probabilities: Whether to add ``seg_probabilities`` too, (C, h, w) float16 of the
            head's size, averaged over the views.
        **kwargs: See ``*args``.

    Raises:
        ConfigError: If views are mirrored, and the pairs are not known.
    """

    prediction = "pred_sem_seg"

    def __init__(
        self,
        *args: Any,
        swap_seg_labels: Sequence[tuple[int, int]] | None = None,
        keep_probabilities: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.keep_probabilities = keep_probabilities
        if self.test_views.flip and swap_seg_labels is None:
            raise ConfigError(
                "model.test_views mirrors images, but nothing says which classes a mirror "
                "exchanges: set model.swap_seg_labels ([] if no class has a side), or "
                "test_views=dict(flip=False)."
            )
        self.swap_seg_labels = tuple((int(a), int(b)) for a, b in swap_seg_labels or ())

    def target(self, targets: Targets) -> Tensor:
        """Labels (B, H, W) uint8."""
        return targets["seg_map"].squeeze(1)

    def synthetic_targets(self, inputs: Tensor) -> dict[str, Tensor]:
        """Returns random labels."""
        shape = (len(inputs), 1, *inputs.shape[-2:])
        labels = torch.randint(self.decode_head.num_classes, shape, device=inputs.device)
        return {"seg_map": labels.to(torch.uint8)}

    def unflip(self, raw: Tensor) -> Tensor:
        """Mirrors logits, and exchanges those of left and right classes."""
        return raw[:, list(mirror_order(raw.shape[1], self.swap_seg_labels))].flip(-1)

    def finish(self, views: Sequence[Tensor], sizes_hw: Sequence[tuple[int, int]]) -> Tensor:
        """Labels (1, H, W) uint8."""
        return argmax_at_size(views, sizes_hw)[None]

    def lay_over(self, below: Tensor, person: Tensor) -> Tensor:
        """Lays a person's parts over those behind, which the background does not cover."""
        return torch.where(person > 0, person, below)

    def more(self, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """The probabilities, if they are kept."""
        if not self.keep_probabilities:
            return {}
        logits = mean_of_views([view[None] for view in views])[0]
        return {"seg_probabilities": logits.softmax(dim=0).half()}


def argmax_at_size(
    views: Sequence[Tensor], sizes_hw: Sequence[tuple[int, int]], chunk: int = 8
) -> Tensor:
    """Resizes logits bilinearly through ``sizes_hw``, one after the other, and takes the class
    that is best on average over the views.

    Works on a few classes at a time: 19 full-size logit maps of a 4K image would take 630 MB. On a
    CPU most pixels of an enlarged map are not interpolated at all.

    Args:
        views: Logits (C, h, w) of each view, C <= 256; h and w may differ.
        sizes_hw: (H, W) of each resizing.
        chunk: Classes resized at once.

    Returns:
        Labels (H, W), uint8; the lower class wins a tie.
    """
    labels = _enlarged_labels(views, sizes_hw) if views[0].is_cpu and sizes_hw else None
    if labels is not None:
        return labels
    best_value, best = None, None
    for start in range(0, len(views[0]), chunk):
        total = resize_through(views[0][None, start : start + chunk], sizes_hw)[0]
        for view in views[1:]:
            total = total + resize_through(view[None, start : start + chunk], sizes_hw)[0]
        value, index = total.max(dim=0)
        index = (index + start).to(torch.uint8)
        if best_value is not None and best is not None:
            better = value > best_value
            index = torch.where(better, index, best)
            value = torch.where(better, value, best_value)
        best_value, best = value, index
    assert best is not None
    return best


def _enlarged_labels(views: Sequence[Tensor], sizes_hw: Sequence[tuple[int, int]]) -> Tensor | None:
    """The same where the last resizing enlarges, or None; resizing a sum is summing the resized."""
    *before, size_hw = sizes_hw
    if len({view.shape for view in views}) > 1 and not before:
        return None
    small = [resize_through(view[None], before)[0] for view in views]
    if size_hw[0] * size_hw[1] < 2 * small[0][0].numel():
        return None
    return resized_labels(torch.stack(small).sum(dim=0) if len(small) > 1 else small[0], size_hw)


@MODELS.register_module()
class VitHead(DenseHead):
    """Predicts the logits of C classes, (B, C, 8 h, 8 w).

    Args:
        in_channels: Channels of the feature map; the segmentor fills in the backbone's.
        num_classes: Number of classes, the background included.
        ignore_index: Label that does not count.
        loss_decode: Config of the loss; it resizes the logits to the labels.
        **kwargs: Layers: see :class:`seg.dense.DenseHead`.
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
        total = self.loss_weight * self._sum(pred, target, weight)
        return total / (valid if self.avg_non_ignore else target.numel())

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
