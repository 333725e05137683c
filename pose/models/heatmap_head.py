"""The head of the pose estimators, one heatmap a keypoint, and its losses: squared errors."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError
from engine.model.head import UpsamplingHead
from engine.model.layers import stages
from pose.codec import UDPHeatmap, find_peaks, vector
from pose.registry import MODELS


@MODELS.register_module()
class HeatmapHead(UpsamplingHead):
    """Upsamples the feature map by two a deconvolution, then regresses heatmaps: ``final_layer``.

    The output is no probability: a clear peak is near 1 and may exceed it.

    Args:
        in_channels: Channels of the feature map; the estimator fills in the backbone's.
        out_channels: Number of keypoints K; the estimator fills in its metainfo's.
        loss: Config of the loss.
        decoder: Config of the :class:`pose.codec.UDPHeatmap` that draws the targets and reads the
            heatmaps. Its sizes follow from the next two.
        input_size_hw: Size of the model's input; the estimator fills in the backbone's.
        feature_size_hw: Size of the feature map, likewise.
        **kwargs: See :class:`engine.model.head.UpsamplingHead`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        loss: dict | None = None,
        decoder: dict | None = None,
        input_size_hw: tuple[int, int] | None = None,
        feature_size_hw: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, **kwargs)
        self.out_channels = out_channels
        self.final_layer = nn.Conv2d(self.last_channels, out_channels, 1)
        self.loss_module = MODELS.build(loss or {"type": "KeypointMSELoss"})
        upsampling = 2 ** len(stages(self.deconv_layers))
        heatmap_size_hw = feature_size_hw and tuple(upsampling * n for n in feature_size_hw)
        decoder = {"type": "UDPHeatmap", **(decoder or {})}
        for key, size_hw in (("input_size", input_size_hw), ("heatmap_size", heatmap_size_hw)):
            size_wh = size_hw and size_hw[::-1]
            if size_wh and tuple(decoder.setdefault(key, size_wh)) != size_wh:
                raise ConfigError(
                    f"HeatmapHead: decoder.{key} is {tuple(decoder[key])}, but the model's is "
                    f"{size_wh} (width, height). Leave it out: it is filled in."
                )
        self.decoder: UDPHeatmap = MODELS.build(decoder)
        self.init_weights()

    def init_weights(self) -> None:
        """Draws all weights from N(0, 0.001), with zero biases, as the release."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def predict_pixels(self, x: Tensor) -> Tensor:
        """(B, D, h, w) -> heatmaps (B, K, h, w)."""
        return self.final_layer(x)

    def loss(self, heatmaps: Tensor, keypoints: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """Draws the targets on the device of the heatmaps, and compares.

        Args:
            heatmaps: Raw output of :meth:`forward` (B, K, h, w).
            keypoints: (B, K, 2), input pixels.
            visible: (B, K), 0 or 1.

        Returns:
            ``loss_kpt``, and ``acc_pose``: see :func:`pck`.

        Raises:
            ConfigError: If the number of keypoints is not the head's.
        """
        if keypoints.shape[1] != self.out_channels:
            raise ConfigError(
                f"The dataset gives {keypoints.shape[1]} keypoints, but the head has out_channels="
                f"{self.out_channels}. Give the dataset and the model the same metainfo."
            )
        target, weight = self.decoder.encode(keypoints, visible)
        return {
            "loss_kpt": self.loss_module(heatmaps, target, weight),
            "acc_pose": pck(heatmaps, keypoints, weight, self.decoder),
        }


def pck(
    heatmaps: Tensor,
    keypoints: Tensor,
    weight: Tensor,
    decoder: UDPHeatmap,
    threshold: float = 0.05,
) -> Tensor:
    """The share of keypoints whose highest pixel is near the truth (PCK), to watch a training by.

    Near means a distance below ``threshold``, where the width and the height of the heatmap are
    each 1. (The release swaps the two.)

    Args:
        heatmaps: (B, K, h, w).
        keypoints: (B, K, 2), input pixels.
        weight: (B, K); keypoints of weight 0 do not count.
        decoder: Which heatmaps these are.
        threshold: Share of the heatmap's size.

    Returns:
        Scalar in [0, 1]: the mean over the keypoints that occur in the batch.
    """
    peaks_xy, _ = find_peaks(heatmaps.detach().flatten(0, 1))
    size_wh = vector(decoder.heatmap_size_wh, keypoints.device, keypoints.dtype)
    truth_xy = keypoints / vector(decoder.stride_xy, keypoints.device, keypoints.dtype)
    # A blob that reaches in from outside is highest at the border.
    truth_xy = truth_xy.clamp(min=0).minimum(size_wh - 1)
    distance = ((peaks_xy.view_as(truth_xy) - truth_xy) / size_wh).norm(dim=-1)
    counts = weight > 0
    near = ((distance < threshold) & counts).sum(dim=0)
    occurs = counts.sum(dim=0)
    return (near / occurs.clamp(min=1)).sum() / (occurs > 0).sum().clamp(min=1)


@MODELS.register_module()
class KeypointMSELoss(nn.Module):
    """Mean squared error, each heatmap times its weight.

    The mean is over all pixels of all heatmaps; those of weight 0 count as 0, in the denominator
    too, as in the release.

    Args:
        use_target_weight: Use the weights; without, all heatmaps count.
        loss_weight: Factor of the result.
    """

    def __init__(self, use_target_weight: bool = True, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.use_target_weight = use_target_weight
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Computes the loss.

        Args:
            pred: Heatmaps (B, K, h, w), any real.
            target: Heatmaps (B, K, h, w) in [0, 1].
            weight: Of each heatmap (B, K).

        Returns:
            Scalar.
        """
        errors = F.mse_loss(pred.float(), target, reduction="none").mean(dim=(2, 3))  # (B, K)
        weight = weight if self.use_target_weight else None
        return self.loss_weight * self.reduce(errors, weight).mean()

    def reduce(self, errors: Tensor, weight: Tensor | None) -> Tensor:
        """Weights the errors (B, K); returns those that count."""
        return errors if weight is None else errors * weight


@MODELS.register_module()
class KeypointOHKMMSELoss(KeypointMSELoss):
    """Mean squared error of each person's hardest keypoints (Chen et al., 2018, sec. 3.2.2).

    Args:
        use_target_weight: Multiply predictions and targets by the weights first.
        topk: How many keypoints of a person count.
        loss_weight: Factor of the result.
    """

    def __init__(
        self, use_target_weight: bool = True, topk: int = 8, loss_weight: float = 1.0
    ) -> None:
        super().__init__(use_target_weight, loss_weight)
        self.topk = topk

    def reduce(self, errors: Tensor, weight: Tensor | None) -> Tensor:
        """Weights the errors (B, K); returns each person's highest, (B, topk).

        Raises:
            ConfigError: If there are fewer than ``topk`` keypoints.
        """
        if not 1 <= self.topk <= errors.shape[1]:
            raise ConfigError(
                f"KeypointOHKMMSELoss: topk={self.topk}, but there are {errors.shape[1]} keypoints."
            )
        errors = errors if weight is None else errors * weight.square()
        return errors.topk(self.topk, dim=1, sorted=False).values
