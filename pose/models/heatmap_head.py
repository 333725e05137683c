"""The head of the pose estimators: one heatmap a keypoint."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from engine.errors import ConfigError
from engine.model.head import UpsamplingHead
from engine.model.layers import stages
from pose.codec import UDPHeatmap, find_peaks
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
    size_wh = keypoints.new_tensor(decoder.heatmap_size_wh)
    truth_xy = keypoints / keypoints.new_tensor(decoder.stride_xy)
    # A blob that reaches in from outside is highest at the border.
    truth_xy = truth_xy.clamp(min=0).minimum(size_wh - 1)
    distance = ((peaks_xy.view_as(truth_xy) - truth_xy) / size_wh).norm(dim=-1)
    counts = weight > 0
    near = ((distance < threshold) & counts).sum(dim=0)
    occurs = counts.sum(dim=0)
    return (near / occurs.clamp(min=1)).sum() / (occurs > 0).sum().clamp(min=1)
