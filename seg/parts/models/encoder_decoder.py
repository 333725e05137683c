"""The segmentor: a backbone, a decode head, and predictions at the original size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor

from engine.data.sample import DataSample
from engine.model.base import BaseModel
from engine.model.views import TestTimeAugmentation
from seg.registry import MODELS


@MODELS.register_module()
class EncoderDecoder(BaseModel):
    """Semantic segmentation of whole images.

    Args:
        backbone: Config of the backbone; it gives a tuple of feature maps.
        decode_head: Config of the head; ``in_channels`` defaults to the backbone's width.
        data_preprocessor: Config of the preprocessor.
        tta: Test-time augmentation, ``dict(flip=True, scales=(0.75, 1.0, 1.25))``: predictions are
            those of the mean logits of all views at the original size. None for none.
    """

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        data_preprocessor: dict | None = None,
        tta: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor or {"type": "DataPreprocessor"})
        self.backbone = MODELS.build(backbone)
        self.decode_head = MODELS.build({"in_channels": self.backbone.embed_dims, **decode_head})
        self.tta = None if tta is None else TestTimeAugmentation(**tta)

    def forward_tensor(self, inputs: Tensor) -> Tensor:
        """Maps images (B, 3, H, W) to the head's logits (B, C, h, w)."""
        return self.decode_head(self.backbone(inputs))

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Returns the head's losses, prefixed with ``decode.``."""
        labels = torch.cat([sample.gt_sem_seg.data for sample in data_samples]).long()
        losses = self.decode_head.loss(self.forward_tensor(inputs), labels)
        return {f"decode.{name}": value for name, value in losses.items()}

    def synthetic_samples(self, inputs: Tensor) -> list[DataSample]:
        """Returns data samples with random labels, uint8 (1, H, W)."""
        num_classes = self.decode_head.num_classes
        labels = torch.randint(
            num_classes, (len(inputs), 1, *inputs.shape[-2:]), device=inputs.device
        )
        return [DataSample(gt_sem_seg=PixelData(data=x)) for x in labels.to(torch.uint8)]

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Adds ``pred_sem_seg``, uint8 labels (1, H, W) at each image's original size."""
        size_hw = (inputs.shape[-2], inputs.shape[-1])
        if data_samples is None:
            data_samples = [DataSample(metainfo={"ori_size_hw": size_hw}) for _ in inputs]
        if self.tta is None:
            views = [self.forward_tensor(inputs).float()]
        else:
            views = self.tta.views(
                self.forward_tensor, inputs, self.backbone.patch_size, self.dataset_meta
            )
        for *logits, sample in zip(*views, data_samples, strict=True):
            labels = argmax_at_size(logits, [size_hw, sample.ori_size_hw])
            sample.pred_sem_seg = PixelData(data=labels[None])
        return data_samples


def argmax_at_size(
    views: Sequence[Tensor], sizes_hw: list[tuple[int, int]], chunk: int = 8
) -> Tensor:
    """Resizes logits bilinearly through ``sizes_hw``, one after the other, and takes the class
    that is best on average over the views.

    Works on a few classes at a time: 19 full-size logit maps of a 4K image would take 630 MB.

    Args:
        views: Logits (C, h, w) of each view, C <= 256; h and w may differ.
        sizes_hw: (H, W) of each resizing; the release resizes to the input's, then the image's
            size.
        chunk: Classes resized at once.

    Returns:
        Labels (H, W), uint8; the lower class wins a tie.
    """
    best_value, best = None, None
    for start in range(0, len(views[0]), chunk):
        total = _resize(views[0][start : start + chunk], sizes_hw)
        for view in views[1:]:
            total = total + _resize(view[start : start + chunk], sizes_hw)
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


def _resize(logits: Tensor, sizes_hw: list[tuple[int, int]]) -> Tensor:
    x = logits[None]
    for size_hw in sizes_hw:
        if x.shape[-2:] != tuple(size_hw):
            x = F.interpolate(x, tuple(size_hw), mode="bilinear")
    return x[0]
