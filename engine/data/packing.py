"""From a dict of arrays to tensors, and from packed samples to a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import FUNCTIONS, TRANSFORMS
from torch.utils.data import default_collate

from engine.data import geometry
from engine.data.fields import FIELDS
from engine.data.sample import DataSample, Sample, get_packed, pop_packed, set_packed
from engine.errors import ConfigError, DataError

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


@TRANSFORMS.register_module()
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
            if field.packed and key in sample:
                value = sample[key]
                if not field.is_of_people:
                    value = np.ascontiguousarray(np.atleast_3d(value).transpose(2, 0, 1))
                set_packed(data_sample, field.packed, torch.from_numpy(value))
        return {"inputs": torch.from_numpy(planes), "data_samples": data_sample}


@FUNCTIONS.register_module()
def collate_samples(batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stacks the images and the truth of packed samples.

    In a worker the stacks are made in shared memory, so that handing them over copies nothing.

    Returns:
        ``{"inputs": (B, 3, H, W) uint8, "targets": see stack_targets, "data_samples": list of B}``.

    Raises:
        ConfigError: If the samples are not packed.
        DataError: If the images differ in size.
    """
    if any("inputs" not in packed for packed in batch):
        raise ConfigError('a pipeline ends with dict(type="PackInputs"); one of this run does not.')
    images = [packed["inputs"] for packed in batch]
    samples = [packed["data_samples"] for packed in batch]
    if len({image.shape for image in images}) > 1:
        sizes = ", ".join(
            f"{sample.metainfo.get('img_path', '?')} {image.shape[1]}x{image.shape[2]}"
            for sample, image in zip(samples, images, strict=True)
        )
        raise DataError(
            f"a batch needs images of one size, found (height x width): {sizes}. End the "
            'pipeline\'s geometry with dict(type="Resize"), or use batch_size=1.'
        )
    inputs, targets = default_collate(images), stack_targets(samples)
    for sample in samples:
        for key in targets:
            pop_packed(sample, FIELDS[key].packed)
    return {"inputs": inputs, "targets": targets, "data_samples": samples}


def stack_targets(samples: Sequence[DataSample]) -> dict[str, torch.Tensor]:
    """Stacks what data samples hold of the truth, by the field table.

    What is of another size in each sample, as the truth of an evaluation may be, is left out.

    Returns:
        By the fields' names: maps (B, C, H, W), values of people (N, ...), N of all samples.
    """
    targets = {}
    for key, field in FIELDS.items():
        if not field.packed:
            continue
        values = [get_packed(sample, field.packed) for sample in samples]
        known = [value for value in values if value is not None]
        if known and len(known) == len(values) and len({value.shape for value in known}) == 1:
            stacked = default_collate(known)
            targets[key] = stacked.flatten(0, 1) if field.is_of_people else stacked
    return targets


def give_targets(samples: Sequence[DataSample], targets: dict[str, torch.Tensor]) -> None:
    """Puts targets back into the data samples that they were taken from."""
    for key, stacked in targets.items():
        if FIELDS[key].is_of_people:
            stacked = stacked.unflatten(0, (len(samples), -1))
        for sample, value in zip(samples, stacked, strict=True):
            set_packed(sample, FIELDS[key].packed, value)
