"""The decode head of the dense tasks: deconvolutions, 1x1 convolutions, a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError
from seg.registry import MODELS

# Padding and output padding that make a transposed convolution of stride 2 double the size exactly.
_DECONV_PADDING = {4: (1, 0), 3: (1, 1), 2: (0, 0)}


def _deconv_layers(in_channels: int, out_channels: Sequence[int], kernels: Sequence[int]) -> list:
    layers: list[nn.Module] = []
    for channels, kernel in zip(out_channels, kernels, strict=True):
        if kernel not in _DECONV_PADDING:
            raise ConfigError(f"deconv_kernel_sizes holds {kernel}; expected 2, 3 or 4.")
        padding, output_padding = _DECONV_PADDING[kernel]
        deconv = nn.ConvTranspose2d(
            in_channels, channels, kernel, 2, padding, output_padding, bias=False
        )
        layers += [deconv, nn.InstanceNorm2d(channels), nn.SiLU(inplace=True)]
        in_channels = channels
    return layers


def _conv_layers(in_channels: int, out_channels: Sequence[int], kernels: Sequence[int]) -> list:
    layers: list[nn.Module] = []
    for channels, kernel in zip(out_channels, kernels, strict=True):
        conv = nn.Conv2d(in_channels, channels, kernel, padding=(kernel - 1) // 2)
        layers += [conv, nn.InstanceNorm2d(channels), nn.SiLU(inplace=True)]
        in_channels = channels
    return layers


@MODELS.register_module()
class VitHead(nn.Module):
    """Upsamples the feature map by two a deconvolution, then classifies each pixel.

    The state-dict keys are the release's: ``deconv_layers.{0,3,..}``, ``conv_layers.{0,3,..}`` and
    ``conv_seg``. The norm is InstanceNorm without parameters or running statistics, so a batch of
    any size, in training and evaluation, is normalised image by image.

    Args:
        in_channels: Channels of the feature map; the segmentor fills in the backbone's.
        num_classes: Number of classes, the background included.
        deconv_out_channels: Channels of each deconvolution.
        deconv_kernel_sizes: Kernel of each deconvolution: 2, 3 or 4.
        conv_out_channels: Channels of each convolution.
        conv_kernel_sizes: Kernel of each convolution, odd.
        channels: If given, must equal the channels before the classifier.
        dropout_ratio: Share of channels dropped before the classifier in training.
        align_corners: Only False; kept so that configs of the release can be read.
        ignore_index: Label that does not count.
        loss_decode: Config of the loss.
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
        ignore_index: int = 255,
        loss_decode: dict | None = None,
    ) -> None:
        super().__init__()
        last_channels = [in_channels, *deconv_out_channels, *conv_out_channels][-1]
        if channels not in (None, last_channels):
            raise ConfigError(
                f"VitHead: channels={channels}, but the last layer has {last_channels}."
            )
        if align_corners:
            raise ConfigError(
                "VitHead: align_corners=True is not supported; the release uses False."
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        deconv_channels = [in_channels, *deconv_out_channels][-1]
        self.deconv_layers = nn.Sequential(
            *_deconv_layers(in_channels, deconv_out_channels, deconv_kernel_sizes)
        )
        self.conv_layers = nn.Sequential(
            *_conv_layers(deconv_channels, conv_out_channels, conv_kernel_sizes)
        )
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.conv_seg = nn.Conv2d(last_channels, num_classes, kernel_size=1)
        self.loss_decode = MODELS.build(loss_decode or {"type": "CrossEntropyLoss"})
        self.init_weights()

    def init_weights(self) -> None:
        """Draws the classifier from N(0, 0.01), as the release; the rest is PyTorch's default."""
        nn.init.normal_(self.conv_seg.weight, std=0.01)
        assert self.conv_seg.bias is not None
        nn.init.zeros_(self.conv_seg.bias)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Maps the last feature map (B, D, h, w) to logits (B, C, h * 2^n, w * 2^n)."""
        x = self.deconv_layers(feats[-1])
        x = self.conv_layers(x)
        return self.conv_seg(self.dropout(x))

    def loss(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Computes the loss at the resolution of the labels.

        Args:
            logits: Raw output of :meth:`forward` (B, C, h, w).
            labels: (B, H, W) integers.

        Returns:
            The loss under its name, and ``acc_seg``, the percentage of right pixels among the valid
            ones, counted on every fourth row and column: a figure for the log need not cost what
            the loss costs.
        """
        logits = F.interpolate(logits.float(), labels.shape[-2:], mode="bilinear")
        some_labels = labels[:, ::4, ::4]
        valid = some_labels != self.ignore_index
        right = (logits.detach()[..., ::4, ::4].argmax(1) == some_labels) & valid
        return {
            self.loss_decode.loss_name: self.loss_decode(logits, labels),
            "acc_seg": 100.0 * right.sum() / valid.sum().clamp(min=1),
        }
