"""The head of the dense tasks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from engine.errors import ConfigError
from engine.model.head import UpsamplingHead


class DenseHead(UpsamplingHead):
    """Upsamples the feature map, and predicts C numbers a pixel with ``conv_seg``.

    Args:
        in_channels: Channels of the feature map; the model fills in the backbone's.
        num_classes: C: classes, the background included, or channels of a map.
        deconv_out_channels: Channels of each deconvolution.
        deconv_kernel_sizes: Kernel of each deconvolution: 2, 3 or 4.
        conv_out_channels: Channels of each convolution.
        conv_kernel_sizes: Kernel of each convolution, odd.
        channels: If given, must equal the channels before the last layer.
        dropout_ratio: Share of channels dropped before the last layer in training.
        align_corners: Only False; kept so that configs of the release can be read.
        activation_checkpointing: See :class:`engine.model.head.UpsamplingHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        deconv_out_channels: Sequence[int] = (768, 768, 768),
        deconv_kernel_sizes: Sequence[int] = (4, 4, 4),
        conv_out_channels: Sequence[int] = (768, 768, 768),
        conv_kernel_sizes: Sequence[int] = (1, 1, 1),
        channels: int | None = None,
        dropout_ratio: float = 0.1,
        align_corners: bool = False,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            deconv_out_channels,
            deconv_kernel_sizes,
            conv_out_channels,
            conv_kernel_sizes,
            activation_checkpointing,
        )
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
