"""The top-down estimator: a crop of one person in, their keypoints in the original image out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor

from engine.config.keys import reject_unknown
from engine.data import geometry
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.model.base import BaseModel, Targets
from engine.model.views import TestViews, mean_of_views
from pose.metainfo import parse_metainfo
from pose.registry import MODELS

# What the release's test_cfg may say besides flip_test.
_TEST_CFG = {"flip_mode": "heatmap", "shift_heatmap": False}


@MODELS.register_module()
class TopdownPoseEstimator(BaseModel):
    """Finds the keypoints of the person that each input image was cut out for.

    Args:
        backbone: Config of the backbone; it gives a tuple of feature maps.
        head: Config of the head. ``in_channels``, ``out_channels`` and the sizes of its decoder
            follow from the backbone and the metainfo.
        metainfo: The keypoint set: "coco", "coco_wholebody", "goliath", or one's own as a dict; see
            :func:`pose.metainfo.parse_metainfo`.
        test_views: ``dict(flip=True, scales=(1.0,))``: heatmaps are the mean over mirrored and
            resized views; see :class:`engine.model.views.TestViews`.
        test_cfg: The release's way to say whether to mirror: its ``dict(flip_test=True)`` goes
            before ``test_views["flip"]``.
        data_preprocessor: Config of the preprocessor.
        eval_dtype: See :class:`engine.model.base.BaseModel`.

    Raises:
        ConfigError: If the head's number of keypoints is not the metainfo's, or ``test_cfg`` or
            ``test_views`` ask for what there is not.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        metainfo: str | Mapping[str, Any],
        test_views: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        eval_dtype: str = "float32",
    ) -> None:
        super().__init__(data_preprocessor, eval_dtype)
        self.metainfo = parse_metainfo(metainfo)
        self.test_views = TestViews(_views(test_views, test_cfg))
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

    def forward_tensor(self, inputs: Tensor) -> Tensor:
        """Maps crops (B, 3, H, W) to heatmaps (B, K, h, w)."""
        return self.head(self.backbone(inputs))

    def loss(
        self, inputs: Tensor, targets: Targets, data_samples: list[DataSample] | None = None
    ) -> dict[str, Tensor]:
        """Returns the head's losses; each sample is of one person."""
        return self.head.loss(
            self.forward_tensor(inputs), targets["keypoints"], targets["keypoints_visible"]
        )

    def synthetic_targets(self, inputs: Tensor) -> dict[str, Tensor]:
        """Returns random keypoints, all visible."""
        shape = (len(inputs), self.metainfo.num_keypoints)
        size_wh = inputs.new_tensor(inputs.shape[:-3:-1])
        keypoints = torch.rand(*shape, 2, device=inputs.device) * size_wh
        return {"keypoints": keypoints, "keypoints_visible": inputs.new_ones(shape)}

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Adds ``pred_instances`` of one person: ``keypoints`` and ``keypoint_scores``.

        Keypoints are in pixels of the original image if the sample's metainfo has the
        ``warp_matrix`` of the crop, else of the input. Both are float32 on the CPU.
        """
        if data_samples is None:
            data_samples = [DataSample() for _ in inputs]
        views = self.test_views.predict(
            self.forward_tensor, self.unflip, inputs, self.backbone.patch_size
        )
        decoder = self.head.decoder
        points, scores = decoder.locate(mean_of_views(views, decoder.heatmap_size_wh[::-1]))
        points = points.cpu().double().numpy() * decoder.stride_xy
        matrices = np.stack(
            [sample.get("warp_matrix", geometry.identity()) for sample in data_samples]
        )
        points = geometry.transform_points(points, geometry.invert(matrices))
        keypoints = torch.from_numpy(points.astype(np.float32))
        for sample, xy, score in zip(data_samples, keypoints, scores.cpu(), strict=True):
            sample.pred_instances = InstanceData(keypoints=xy[None], keypoint_scores=score[None])
        return data_samples

    def unflip(self, raw: Tensor) -> Tensor:
        """Mirrors heatmaps, and exchanges those of left and right keypoints."""
        return raw.flip(-1)[:, list(self.metainfo.keypoint_swap_indices)]


def _views(test_views: dict | None, test_cfg: dict | None) -> dict | None:
    """The views that a config asks for, in our words or in the release's."""
    if test_cfg is None:
        return test_views
    options = {"flip_test": True, **test_cfg}
    reject_unknown("model.test_cfg", options, ("flip_test", *_TEST_CFG))
    for key, only in _TEST_CFG.items():
        if options.get(key, only) != only:
            raise ConfigError(f"model.test_cfg.{key}={options[key]!r}: only {only!r} is there.")
    return {**(test_views or {}), "flip": options["flip_test"]}
