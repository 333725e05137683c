"""The model of the dense tasks: a backbone, a head, and predictions at the original size."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from mmengine.structures import PixelData
from torch import Tensor, nn

from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.model.base import BaseModel, Targets
from engine.model.head import UpsamplingHead
from engine.model.views import TestViews
from seg.registry import MODELS


class DenseModel(BaseModel):
    """Predicts every pixel of whole images.

    Args:
        backbone: Config of the backbone; it gives a tuple of feature maps.
        decode_head: Config of the head; ``in_channels`` defaults to the backbone's width.
        data_preprocessor: Config of the preprocessor.
        test_views: ``dict(flip=True, scales=(0.75, 1.0, 1.25))``: predictions are those of the mean
            over mirrored and resized views; see :class:`engine.model.views.TestViews`.
        eval_dtype: See :class:`engine.model.base.BaseModel`.
    """

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        data_preprocessor: dict | None = None,
        test_views: dict | None = None,
        eval_dtype: str = "float32",
    ) -> None:
        super().__init__(data_preprocessor, eval_dtype)
        self.backbone = MODELS.build(backbone)
        self.decode_head = MODELS.build({"in_channels": self.backbone.embed_dims, **decode_head})
        self.test_views = TestViews(test_views)

    @property
    @abstractmethod
    def prediction(self) -> str:
        """Name of the predicted map in data samples."""

    @abstractmethod
    def target(self, targets: Targets) -> Tensor:
        """Takes what the head's loss compares with."""

    @abstractmethod
    def unflip(self, raw: Tensor) -> Tensor:
        """Turns raw output (B, C, h, w) for mirrored images into that for the images."""

    @abstractmethod
    def finish(self, views: Sequence[Tensor], sizes_hw: Sequence[tuple[int, int]]) -> Tensor:
        """Makes an image's prediction (C', H, W).

        Args:
            views: Raw output (C, h, w) of each view.
            sizes_hw: (H, W) to resize to, one after the other: the release resizes to the input's,
                then to the image's size.
        """

    def more(self, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """Makes further maps of an image, by their names in data samples, from raw output."""
        return {}

    def empty_map(self, size_hw: tuple[int, int]) -> Tensor:
        """Returns the prediction (C', H, W) of an image that shows nobody: zeros."""
        raw = torch.zeros(self.decode_head.num_classes, 1, 1)
        pixel = self.finish([raw], [(1, 1)])
        return pixel.new_zeros(*pixel.shape[:-2], *size_hw)

    def lay_over(self, below: Tensor, person: Tensor) -> Tensor:
        """Lays the prediction (C', h, w) for a person over that for those behind."""
        return person

    def forward_tensor(self, inputs: Tensor) -> Tensor:
        """Maps images (B, 3, H, W) to the head's raw output (B, C, h, w)."""
        return self.decode_head(self.backbone(inputs))

    def loss(
        self, inputs: Tensor, targets: Targets, data_samples: list[DataSample] | None = None
    ) -> dict[str, Tensor]:
        """Returns the head's losses, prefixed with ``decode.``."""
        losses = self.decode_head.loss(self.forward_tensor(inputs), self.target(targets))
        return {f"decode.{name}": value for name, value in losses.items()}

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Adds the predicted map, at each image's original size, to its data sample."""
        size_hw = (inputs.shape[-2], inputs.shape[-1])
        if data_samples is None:
            data_samples = [DataSample(metainfo={"ori_size_hw": size_hw}) for _ in inputs]
        views = self.test_views.predict(
            self.forward_tensor, self.unflip, inputs, self.backbone.patch_size
        )
        for *raw, sample in zip(*views, data_samples, strict=True):
            predicted = self.finish(raw, [size_hw, tuple(sample.ori_size_hw)])
            for name, maps in {self.prediction: predicted, **self.more(raw)}.items():
                sample.set_field(PixelData(data=maps), name)
        return data_samples


class DenseHead(UpsamplingHead):
    """Upsamples the feature map, and predicts C numbers a pixel with ``conv_seg``.

    Args:
        in_channels: Channels of the feature map; the model fills in the backbone's.
        num_classes: C: classes, the background included, or channels of a map.
        channels: If given, must equal the channels before the last layer.
        dropout_ratio: Share of channels dropped before the last layer in training.
        align_corners: Only False; kept so that configs of the release can be read.
        **kwargs: Other layers than the default ones: see
            :class:`engine.model.head.UpsamplingHead`.
    """

    default_layers: ClassVar[dict[str, Any]] = {
        "deconv_out_channels": (768, 768, 768),
        "deconv_kernel_sizes": (4, 4, 4),
        "conv_out_channels": (768, 768, 768),
        "conv_kernel_sizes": (1, 1, 1),
    }

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int | None = None,
        dropout_ratio: float = 0.1,
        align_corners: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, **{**self.default_layers, **kwargs})
        name = type(self).__name__
        if channels not in (None, self.last_channels):
            raise ConfigError(
                f"{name}: channels={channels}, but the last layer has {self.last_channels}."
            )
        if align_corners:
            raise ConfigError(f"{name}: align_corners=True is not supported; use False.")
        self.num_classes = num_classes
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.conv_seg = nn.Conv2d(self.last_channels, num_classes, kernel_size=1)
        self.init_weights()

    def init_weights(self) -> None:
        """Draws the last layer from N(0, 0.01), as the release; the rest is PyTorch's default."""
        nn.init.normal_(self.conv_seg.weight, std=0.01)
        assert self.conv_seg.bias is not None
        nn.init.zeros_(self.conv_seg.bias)

    def predict_pixels(self, x: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, C, h, w)."""
        return self.conv_seg(self.dropout(x))
