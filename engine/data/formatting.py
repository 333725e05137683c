"""The last step of a pipeline: from a dict of arrays to tensors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData

from engine.data import geometry
from engine.data.registry import register_transform
from engine.data.sample import DataSample, Sample
from engine.errors import ConfigError

META_KEYS = (
    "img_path",
    "seg_map_path",
    "ori_size_hw",
    "size_hw",
    "warp_matrix",
    "flip",
    "sample_idx",
    "sample_key",
)


@register_transform
class PackInputs(BaseTransform):
    """Packs a sample as ``{"inputs": (3, H, W) uint8 BGR tensor, "data_samples": DataSample}``.

    ``seg_map`` becomes ``gt_sem_seg`` (1, H, W) uint8; normalisation is left to the device.

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
        if "seg_map" in sample:
            labels = torch.from_numpy(np.ascontiguousarray(sample["seg_map"]))
            data_sample.gt_sem_seg = PixelData(data=labels[None])
        return {"inputs": torch.from_numpy(planes), "data_samples": data_sample}
