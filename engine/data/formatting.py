"""The last step of a pipeline: from a dict of arrays to tensors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.fields import FIELDS
from engine.data.registry import register_transform
from engine.data.sample import DataSample, Sample, set_packed
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
    "id",
    "img_id",
    "bbox_xyxy",
    "bbox_score",
)


@register_transform
class PackInputs(BaseTransform):
    """Packs a sample as ``{"inputs": (3, H, W) uint8 BGR tensor, "data_samples": DataSample}``.

    Other fields are packed by their rows of the field table: maps (H, W) or (H, W, C) as planes
    (C, H, W) of their dtype, values of people into ``gt_instances``. Normalisation is left to the
    device.

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
        for key, field in FIELDS.items():
            if field.packed is not None and key in sample:
                value = sample[key] if field.is_of_people else _planes(sample[key])
                set_packed(data_sample, field.packed, torch.from_numpy(value))
        return {"inputs": torch.from_numpy(planes), "data_samples": data_sample}


def _planes(values: NDArray) -> NDArray:
    """(H, W) or (H, W, C) -> (C, H, W)."""
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return np.ascontiguousarray(values)
