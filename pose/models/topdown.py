"""The top-down estimator: a crop of one person in, their keypoints in the original image out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from engine.data import geometry
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.model.base import BaseModel
from pose.metainfo import parse_metainfo
from pose.registry import MODELS

_TEST_CFG = {"flip_test": True, "flip_mode": "heatmap", "shift_heatmap": False}


@MODELS.register_module()
class TopdownPoseEstimator(BaseModel):
    """Finds the keypoints of the person that each input image was cut out for.

    Args:
        backbone: Config of the backbone; it gives a tuple of feature maps.
        head: Config of the head. ``in_channels``, ``out_channels`` and the sizes of its decoder
            follow from the backbone and the metainfo.
        metainfo: The keypoint set: "coco", "coco_wholebody", "goliath", or one's own as a dict; see
            :func:`pose.metainfo.parse_metainfo`.
        test_cfg: ``flip_test`` averages the heatmaps with those of the mirrored input. Of the
            release's other keys only its values are supported: ``flip_mode="heatmap"`` and
            ``shift_heatmap=False``.
        data_preprocessor: Config of the preprocessor.

    Raises:
        ConfigError: If the head's number of keypoints is not the metainfo's, or ``test_cfg`` asks
            for what there is not.
    """

    swap_indices: Tensor

    def __init__(
        self,
        backbone: dict,
        head: dict,
        metainfo: str | Mapping[str, Any],
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor or {"type": "DataPreprocessor"})
        self.metainfo = parse_metainfo(metainfo)
        self.flip_test = _flip_test(test_cfg or {})
        num_keypoints = self.metainfo.num_keypoints
        if head.get("out_channels", num_keypoints) != num_keypoints:
            raise ConfigError(
                f"model.head.out_channels is {head['out_channels']}, but {self.metainfo.name} has "
                f"{num_keypoints} keypoints. Leave it out: it follows from model.metainfo."
            )
        self.backbone = MODELS.build(backbone)
        derived = {
            "in_channels": self.backbone.embed_dims,
            "out_channels": num_keypoints,
            "input_size_hw": self.backbone.img_size_hw,
            "feature_size_hw": self.backbone.grid_hw,
        }
        self.head = MODELS.build({**derived, **head})
        swap_indices = torch.tensor(self.metainfo.keypoint_swap_indices)
        self.register_buffer("swap_indices", swap_indices, persistent=False)

    def forward_tensor(self, inputs: Tensor) -> Tensor:
        """Maps crops (B, 3, H, W) to heatmaps (B, K, h, w)."""
        return self.head(self.backbone(inputs))

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Returns the head's losses; each sample has one person's ``gt_instances``."""
        keypoints = torch.cat([sample.gt_instances.keypoints for sample in data_samples])
        visible = torch.cat([sample.gt_instances.keypoints_visible for sample in data_samples])
        return self.head.loss(self.forward_tensor(inputs), keypoints, visible)

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Adds ``pred_instances`` of one person: ``keypoints`` and ``keypoint_scores``.

        Keypoints are in pixels of the original image if the sample's metainfo has the
        ``warp_matrix`` of the crop, else of the input. Both are float32 on the CPU.
        """
        if data_samples is None:
            data_samples = [DataSample() for _ in inputs]
        points, scores = self.head.decoder.locate(self._heatmaps(inputs))
        points = points.cpu().double().numpy() * self.head.decoder.stride_xy
        matrices = np.stack(
            [sample.get("warp_matrix", geometry.identity()) for sample in data_samples]
        )
        points = geometry.transform_points(points, geometry.invert(matrices))
        keypoints = torch.from_numpy(points.astype(np.float32))
        for sample, xy, score in zip(data_samples, keypoints, scores.cpu(), strict=True):
            sample.pred_instances = InstanceData(keypoints=xy[None], keypoint_scores=score[None])
        return data_samples

    def _heatmaps(self, inputs: Tensor) -> Tensor:
        heatmaps = self.forward_tensor(inputs).float()
        if not self.flip_test:
            return heatmaps
        mirrored = self.forward_tensor(inputs.flip(-1)).float()
        return (heatmaps + mirrored.flip(-1)[:, self.swap_indices]) / 2


def _flip_test(test_cfg: dict) -> bool:
    for key, value in test_cfg.items():
        if key not in _TEST_CFG:
            raise ConfigError(f"model.test_cfg has the unknown key {key!r}; known: {[*_TEST_CFG]}.")
        if key != "flip_test" and value != _TEST_CFG[key]:
            raise ConfigError(f"model.test_cfg.{key}={value!r}: only {_TEST_CFG[key]!r} is there.")
    return {**_TEST_CFG, **test_cfg}["flip_test"]
