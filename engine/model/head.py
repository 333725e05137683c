"""The base of all heads: it upsamples the backbone's feature map, and predicts each pixel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.model.layers import conv_layers, deconv_layers, stages


class UpsamplingHead(nn.Module):
    """Deconvolutions that double the size, convolutions that keep it, and one last layer.

    The state-dict keys are the release's: ``deconv_layers.{0,3,..}``, ``conv_layers.{0,3,..}``, and
    the task's own name for the last layer. The norm is InstanceNorm without parameters or running
    statistics, so a batch of any size, in training and evaluation, is normalised image by image.

    Args:
        in_channels: Channels of the feature map.
        deconv_out_channels: Channels of each deconvolution.
        deconv_kernel_sizes: Kernel of each deconvolution: 2, 3 or 4.
        conv_out_channels: Channels of each convolution.
        conv_kernel_sizes: Kernel of each convolution, odd.
        activation_checkpointing: Pass image by image and, within an image, layer by layer, storing
            next to nothing for the backward pass. A batch then takes the memory of one image, for
            two forward passes more.

    Attributes:
        last_channels: Channels that the last layer gets.
    """

    def __init__(
        self,
        in_channels: int,
        deconv_out_channels: Sequence[int] = (768, 768),
        deconv_kernel_sizes: Sequence[int] = (4, 4),
        conv_out_channels: Sequence[int] = (768, 768),
        conv_kernel_sizes: Sequence[int] = (1, 1),
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.activation_checkpointing = activation_checkpointing
        deconv_channels = [in_channels, *deconv_out_channels][-1]
        self.last_channels = [deconv_channels, *conv_out_channels][-1]
        self.deconv_layers = deconv_layers(in_channels, deconv_out_channels, deconv_kernel_sizes)
        self.conv_layers = conv_layers(deconv_channels, conv_out_channels, conv_kernel_sizes)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Maps the last feature map (B, D, h, w) to raw output (B, C, h * 2^n, w * 2^n)."""
        # The layout in which bf16 convolutions are fastest, on GPU and CPU, and in which the
        # backbone's tokens are already.
        x = feats[-1].contiguous(memory_format=torch.channels_last)
        if not self.activation_checkpointing or not torch.is_grad_enabled():
            return self._predict(x)  # for exports, of any number of images
        images = x.split(1)
        return torch.cat([checkpoint(self._predict, x, use_reentrant=False) for x in images])

    def _predict(self, x: Tensor) -> Tensor:
        for stage in stages(self.deconv_layers) + stages(self.conv_layers):
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = checkpoint(stage, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = stage(x)
        return self.predict_pixels(x)

    @abstractmethod
    def predict_pixels(self, x: Tensor) -> Tensor:
        """The last layer: (B, last_channels, h, w) -> raw output (B, C, h, w)."""
