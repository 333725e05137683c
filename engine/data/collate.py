"""Batches of packed samples: one tensor for the images, and one for each kind of truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.registry import FUNCTIONS
from torch.utils.data import default_collate

from engine.data.fields import FIELDS
from engine.data.sample import DataSample, get_packed, pop_packed, set_packed
from engine.errors import DataError


@FUNCTIONS.register_module()
def collate_samples(batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stacks the images and the truth of packed samples.

    In a worker the stacks are made in shared memory, so that handing them over copies nothing.

    Returns:
        ``{"inputs": (B, 3, H, W) uint8, "targets": see stack_targets, "data_samples": list of B}``.

    Raises:
        DataError: If the images differ in size.
    """
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
            pop_packed(sample, packed_name(key))
    return {"inputs": inputs, "targets": targets, "data_samples": samples}


def stack_targets(samples: Sequence[DataSample]) -> dict[str, torch.Tensor]:
    """Stacks what data samples hold of the truth, by the field table.

    What is of another size in each sample, as the truth of an evaluation may be, is left out.

    Returns:
        By the fields' names: maps (B, C, H, W), values of people (N, ...), N of all samples.
    """
    targets = {}
    for key, field in FIELDS.items():
        if field.packed is None:
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
            set_packed(sample, packed_name(key), value)


def packed_name(key: str) -> str:
    """The name in data samples of a field that is packed."""
    name = FIELDS[key].packed
    assert name is not None, f"{key} is a field of transforms only"
    return name
