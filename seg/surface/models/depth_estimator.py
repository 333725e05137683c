"""The model of depth and of normals: a backbone, and a head that predicts numbers a pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor

from engine.data.sample import DataSample
from engine.model.base import BaseModel
from seg.registry import MODELS


@MODELS.register_module()
class DepthEstimator(BaseModel):
    """Depth with a :class:`VitDepthHead`, or normals with a :class:`VitNormalHead`.

    Args:
        backbone: Config of the backbone; it gives a tuple of feature maps.
        decode_head: Config of the head; ``in_channels`` defaults to the backbone's width.
        data_preprocessor: Config of the preprocessor.
        flip_test: Average predictions with those of the mirrored image, at twice the time.
    """

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        data_preprocessor: dict | None = None,
        flip_test: bool = False,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor or {"type": "DataPreprocessor"})
        self.backbone = MODELS.build(backbone)
        self.decode_head = MODELS.build({"in_channels": self.backbone.embed_dims, **decode_head})
        self.flip_test = flip_test

    def forward_tensor(self, inputs: Tensor) -> Tensor:
        """Maps images (B, 3, H, W) to the head's raw output (B, C, h, w)."""
        return self.decode_head(self.backbone(inputs))

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Returns the head's losses, prefixed with ``decode.``."""
        name = f"gt_{self.decode_head.name}"
        target = torch.stack([sample.get(name).data for sample in data_samples])
        losses = self.decode_head.loss(self.forward_tensor(inputs), target)
        return {f"decode.{name}": value for name, value in losses.items()}

    def synthetic_samples(self, inputs: Tensor) -> list[DataSample]:
        """Returns data samples with random targets (C, H, W)."""
        shape = (len(inputs), self.decode_head.num_channels, *inputs.shape[-2:])
        targets = self.decode_head.finish(torch.rand(shape, device=inputs.device))
        return [_with_field(DataSample(), f"gt_{self.decode_head.name}", x) for x in targets]

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Adds ``pred_depth_map`` (1, H, W) or ``pred_normal_map`` (3, H, W), float32.

        Raw output is resized to the input's size, then to the image's, bilinearly, as in the
        release; normals are normalised after the last step.
        """
        size_hw = (inputs.shape[-2], inputs.shape[-1])
        if data_samples is None:
            data_samples = [DataSample(metainfo={"ori_size_hw": size_hw}) for _ in inputs]
        head = self.decode_head
        raw = self.forward_tensor(inputs).float()
        if self.flip_test:
            raw = (raw + head.unflip(self.forward_tensor(inputs.flip(-1)).float())) / 2
        for values, sample in zip(raw.split(1), data_samples, strict=True):
            for target_hw in (size_hw, tuple(sample.ori_size_hw)):
                if values.shape[-2:] != target_hw:
                    values = F.interpolate(values, target_hw, mode="bilinear")
            _with_field(sample, f"pred_{head.name}", head.finish(values)[0])
        return data_samples


def _with_field(sample: DataSample, name: str, values: Tensor) -> DataSample:
    sample.set_field(PixelData(data=values), name)
    return sample
