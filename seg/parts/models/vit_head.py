"""The decode head of the dense tasks: deconvolutions, 1x1 convolutions, a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.errors import ConfigError
from engine.model.layers import conv_layers, deconv_layers, stages
from seg.registry import MODELS


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
        loss_decode: Config of the loss; it resizes the logits to the labels.
        activation_checkpointing: Pass image by image and, within an image, layer by layer, storing
            next to nothing for the backward pass. A batch then takes the memory of one image, for
            two forward passes more.
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
        activation_checkpointing: bool = False,
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
        self.activation_checkpointing = activation_checkpointing
        deconv_channels = [in_channels, *deconv_out_channels][-1]
        self.deconv_layers = deconv_layers(in_channels, deconv_out_channels, deconv_kernel_sizes)
        self.conv_layers = conv_layers(deconv_channels, conv_out_channels, conv_kernel_sizes)
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.conv_seg = nn.Conv2d(last_channels, num_classes, kernel_size=1)
        self.loss_decode = MODELS.build(loss_decode or {"type": "CrossEntropyLoss"})
        ignored = getattr(self.loss_decode, "ignore_index", ignore_index)
        if ignored != ignore_index:
            raise ConfigError(
                f"VitHead: ignore_index is {ignore_index}, but its loss ignores {ignored}; set "
                f"loss_decode=dict(..., ignore_index={ignore_index})."
            )
        self.init_weights()

    def init_weights(self) -> None:
        """Draws the classifier from N(0, 0.01), as the release; the rest is PyTorch's default."""
        nn.init.normal_(self.conv_seg.weight, std=0.01)
        assert self.conv_seg.bias is not None
        nn.init.zeros_(self.conv_seg.bias)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Maps the last feature map (B, D, h, w) to logits (B, C, h * 2^n, w * 2^n)."""
        # The layout in which bf16 convolutions are fastest, on GPU and CPU, and in which the
        # backbone's tokens are already.
        x = feats[-1].contiguous(memory_format=torch.channels_last)
        if not self.activation_checkpointing:
            return self._classify(x)
        images = x.split(1)
        return torch.cat([checkpoint(self._classify, x, use_reentrant=False) for x in images])

    def _classify(self, x: Tensor) -> Tensor:
        for stage in stages(self.deconv_layers) + stages(self.conv_layers):
            if self.activation_checkpointing:
                x = checkpoint(stage, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = stage(x)
        return self.conv_seg(self.dropout(x))

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
