"""The segmentor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.data.mirror import mirror_order
from engine.errors import ConfigError
from engine.model.base import Targets
from engine.model.views import resize_through
from seg.dense import DenseModel
from seg.registry import MODELS


@MODELS.register_module()
class EncoderDecoder(DenseModel):
    """Semantic segmentation: adds ``pred_sem_seg``, uint8 labels (1, H, W).

    Args:
        backbone: This and the next four are those of :class:`seg.dense.DenseModel`.
        decode_head: Config of a ``VitHead``.
        data_preprocessor: Config of the preprocessor.
        test_views: Views to average the logits of.
        eval_dtype: Precision of evaluation.
        swap_seg_labels: Pairs of labels that a mirror exchanges; ``load_config`` fills in those of
            the dataset. Mirrored views need them.

    Raises:
        ConfigError: If views are mirrored, and the pairs are not known.
    """

    prediction = "pred_sem_seg"

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        data_preprocessor: dict | None = None,
        test_views: dict | None = None,
        eval_dtype: str = "float32",
        swap_seg_labels: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__(backbone, decode_head, data_preprocessor, test_views, eval_dtype)
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

    def synthetic_targets(self, inputs: Tensor) -> Targets:
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


def argmax_at_size(
    views: Sequence[Tensor], sizes_hw: Sequence[tuple[int, int]], chunk: int = 8
) -> Tensor:
    """Resizes logits bilinearly through ``sizes_hw``, one after the other, and takes the class
    that is best on average over the views.

    Works on a few classes at a time: 19 full-size logit maps of a 4K image would take 630 MB.

    Args:
        views: Logits (C, h, w) of each view, C <= 256; h and w may differ.
        sizes_hw: (H, W) of each resizing.
        chunk: Classes resized at once.

    Returns:
        Labels (H, W), uint8; the lower class wins a tie.
    """
    best_value, best = None, None
    for start in range(0, len(views[0]), chunk):
        total = resize_through(views[0][None, start : start + chunk], sizes_hw)[0]
        for view in views[1:]:
            total = total + resize_through(view[None, start : start + chunk], sizes_hw)[0]
        value, index = total.max(dim=0)
        index = (index + start).to(torch.uint8)
        if best_value is None or best is None:
            best_value, best = value, index
        else:
            better = value > best_value
            best = torch.where(better, index, best)
            best_value = torch.where(better, value, best_value)
    assert best is not None
    return best
