"""A sample: a plain dict while it is transformed, a ``DataSample`` once it is packed."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

Sample = dict[str, Any]
"""What flows through the transforms.

    img_path, seg_map_path, sample_idx   the dataset's record
    archive, img_span   file, and (offset, length) in it, of an image that is no file of its own
    label_map, color_map, depth_scale, normal_axes   how the record's files are to be read, if not
                  as they are
    metainfo      what the dataset is about: classes, palette, keypoints, flip_pairs, ...
    sample_key    (seed, epoch, index), which seed rng
    rng           numpy.random.Generator, the only source of randomness of every transform
    img           (H, W, 3) uint8, BGR; before Warp perhaps an EncodedJpeg
    seg_map       (H, W) uint8 class indices
    mask          (H, W) uint8, 1 on the person and 0 elsewhere
    depth         (H, W) float32, larger is farther
    normal        (H, W, 3) float32 unit vectors, x right, y up, z towards the camera
    keypoints     (1, K, 2) float32 pixels, and keypoints_visible (1, K), 0 or 1
    bbox          (1, 4) float32 x1, y1, x2, y2
    ...           further fields: see the table in ``engine.data.fields``
    ori_size_hw   (H, W) of the image file, after its EXIF rotation
    matrix        (2, 3) float64: pixel (x, y) of the arrays -> pixel of the output canvas
    size_hw       (H, W) of that canvas
    flip          whether RandomFlip mirrored the sample

Geometric transforms compose ``matrix`` and ``size_hw``; ``Warp`` resamples all fields by them
once, keeps the matrix as ``warp_matrix``, and sets ``matrix`` to the identity.
"""


class DataSample(BaseDataElement):
    """Ground truth and predictions of one image, as metrics and visualizers take them.

    Metainfo: ``img_path``, ``seg_map_path``, ``ori_size_hw``, ``size_hw``, ``warp_matrix``,
    ``flip``, ``sample_idx``, ``sample_key``; of a person ``id``, ``img_id``, ``bbox_xyxy`` (4,) in
    pixels of the original image and ``bbox_score``; as far as the pipeline knows them.
    """

    gt_sem_seg: PixelData
    """``data`` (1, H, W) uint8 class indices."""
    pred_sem_seg: PixelData
    """``data`` (1, H, W) class indices, at original size."""
    gt_mask: PixelData
    """``data`` (1, H, W) uint8, 1 where depth or normals are known."""
    gt_depth_map: PixelData
    """``data`` (1, H, W) float32: a target of training, or depth as in its file."""
    pred_depth_map: PixelData
    """``data`` (1, H, W) float32 relative depth, 0 near, at original size."""
    gt_normal_map: PixelData
    """``data`` (3, H, W) float32, x right, y up, z towards the camera."""
    pred_normal_map: PixelData
    """``data`` (3, H, W) float32 unit vectors, likewise, at original size."""
    gt_instances: InstanceData
    """``keypoints`` (N, K, 2) and ``bboxes`` (N, 4) in pixels of the input, ``keypoints_visible``
    (N, K)."""
    pred_instances: InstanceData
    """``keypoints`` (N, K, 2) in pixels of the original image, ``keypoint_scores`` (N, K);
    of a whole image also ``bboxes`` (N, 4), likewise, and ``bbox_scores`` (N,)."""

    def pin_memory(self) -> DataSample:
        """Moves the tensors to page-locked memory, from which copies to a GPU need no waiting.

        The data loader calls it with ``pin_memory=True``.
        """
        for element in self.values():
            for name, value in element.items() if isinstance(element, BaseDataElement) else ():
                if isinstance(value, torch.Tensor):
                    element.set_data({name: value.pin_memory()})
        return self


def set_packed(sample: DataSample, name: str, value: torch.Tensor) -> None:
    """Sets a tensor under its packed name of the field table: a map (C, H, W), or of people."""
    group, _, member = name.partition(".")
    if not member:
        sample.set_field(PixelData(data=value), group)
        return
    people = sample.get(group)
    people = InstanceData() if people is None else people
    people.set_field(value, member)
    sample.set_field(people, group)


def get_packed(sample: DataSample, name: str) -> torch.Tensor | None:
    """Returns the tensor under a packed name, or None."""
    group, _, member = name.partition(".")
    element = sample.get(group)
    return None if element is None else element.get(member or "data")


def pop_packed(sample: DataSample, name: str) -> None:
    """Takes a tensor out of a sample, and the people with the last one of theirs."""
    group, _, member = name.partition(".")
    if member:
        sample.get(group).pop(member)
    if not member or not sample.get(group).keys():
        sample.pop(group)
