"""The last step of a pipeline: from a dict of arrays to tensors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData, PixelData
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.registry import register_transform
from engine.data.sample import DataSample, Sample
from engine.errors import ConfigError

# What a model or a metric compares with: key of the sample -> name in the data sample.
GROUND_TRUTH = {
    "seg_map": "gt_sem_seg",
    "mask": "gt_mask",
    "depth": "gt_depth_map",
    "normal": "gt_normal_map",
}
# The same of people: key of the sample -> name in ``gt_instances``.
INSTANCES = {
    "keypoints": "keypoints",
    "keypoints_visible": "keypoints_visible",
    "bbox": "bboxes",
}

META_KEYS = (
    "img_path",
    "seg_map_path",
    "ori_size_hw",
    "size_hw",
    "warp_matrix",
    "flip",
    "sample_idx",
    "sample_key",
    "id",
    "img_id",
    "bbox_xyxy",
    "bbox_score",
)


@register_transform
class PackInputs(BaseTransform):
    """Packs a sample as ``{"inputs": (3, H, W) uint8 BGR tensor, "data_samples": DataSample}``.

    Maps (H, W) or (H, W, C) become planes (C, H, W) of their dtype: ``seg_map`` is packed as
    ``gt_sem_seg``, ``mask`` as ``gt_mask``, ``depth`` as ``gt_depth_map``, ``normal`` as
    ``gt_normal_map``. ``keypoints``, ``keypoints_visible`` and ``bbox`` go into ``gt_instances``.
    Normalisation is left to the device.

    Raises:
        ConfigError: If geometric transforms were composed, but no ``Warp`` applied them.
    """

    def transform(self, sample: Sample) -> dict[str, Any]:
        """Makes the packed sample."""
        image = sample["img"]
        pending = not np.array_equal(sample["matrix"], geometry.identity())
        pending |= not isinstance(image, np.ndarray)  # a JPEG that Warp was to decode
        if pending or image.shape[:2] != tuple(sample["size_hw"]):
            raise ConfigError(
                "the pipeline has geometric transforms (Resize, RandomCrop, ...) whose pixels were "
                'never moved: put dict(type="Warp") after the last of them.'
            )
        planes = np.empty((3, *image.shape[:2]), np.uint8)
        cv2.split(image, list(planes))  # several times faster than a transposed copy
        metainfo = {key: sample[key] for key in META_KEYS if key in sample}
        data_sample = DataSample(metainfo=metainfo)
        for key, name in GROUND_TRUTH.items():
            if key in sample:
                data_sample.set_field(PixelData(data=_planes(sample[key])), name)
        people = {
            name: torch.from_numpy(sample[key]) for key, name in INSTANCES.items() if key in sample
        }
        if people:
            data_sample.gt_instances = InstanceData(**people)
        return {"inputs": torch.from_numpy(planes), "data_samples": data_sample}


def _planes(values: NDArray) -> torch.Tensor:
    """(H, W) or (H, W, C) -> (C, H, W)."""
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(values))
