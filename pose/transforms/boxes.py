"""From a person's box to their crop. All of it is geometry: ``Warp`` moves the pixels.

``bbox_center`` (2,) and ``bbox_scale`` (2,), the width and height that the crop is to show, are in
pixels of the sample's arrays, like ``bbox`` and ``keypoints``; ``bbox_rotation`` is in degrees.
Until ``TopdownAffine`` composes the crop's matrix after that of an earlier ``RandomFlip``, nothing
else looks at it, so that the flip may stand anywhere before ``Warp``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.arguments import require_range, require_size
from engine.data.sample import Sample
from engine.errors import ConfigError, DataError
from pose.geometry import BOX_PADDING, box_to_center_scale, fix_aspect, udp_matrix


@TRANSFORMS.register_module()
@dataclass(kw_only=True, eq=False)
class GetBBoxCenterScale(BaseTransform):
    """Takes center and scale from ``bbox`` (1, 4), and keeps the box as ``bbox_xyxy`` (4,).

    Args:
        padding: Factor of the box's width and height.

    Raises:
        DataError: If the box has no area, or the image is not of the size that its annotations are
            for (``annotated_size_hw``, where the record has it).
    """

    padding: float = BOX_PADDING

    def transform(self, sample: Sample) -> Sample:
        """Adds bbox_center, bbox_scale, bbox_rotation and bbox_xyxy."""
        difference = size_difference(sample)
        if difference:
            raise DataError(f"{sample.get('img_path')} {difference}")
        try:
            center, scale = box_to_center_scale(sample["bbox"][0], self.padding)
        except DataError as error:
            raise DataError(f"{sample.get('img_path')}: {error}") from error
        bbox_xyxy = sample["bbox"][0].copy()
        sample.update(bbox_center=center, bbox_scale=scale, bbox_rotation=0.0, bbox_xyxy=bbox_xyxy)
        return sample


def size_difference(sample: Sample) -> str:
    """Says how the image differs from the size of its annotations; empty if it does not.

    Args:
        sample: With ``ori_size_hw``, and ``annotated_size_hw`` if that is known.
    """
    found = tuple(sample["ori_size_hw"])
    expected = tuple(sample.get("annotated_size_hw", found))
    if expected == found:
        return ""
    cause = "Was it resized after it was annotated? Its labels are for the size before"
    if expected[::-1] == found:
        cause = (
            "It seems that it was annotated as it is stored, lying on its side, without its EXIF "
            "rotation; the labels are to be turned as well"
        )
    return (
        f"is {found[0]}x{found[1]}, but its annotation says {expected[0]:g}x{expected[1]:g} "
        f"(height x width, after EXIF rotation). {cause}: correct the image, or the annotation "
        "file with boxes and keypoints."
    )


@TRANSFORMS.register_module()
@dataclass(kw_only=True, eq=False)
class RandomHalfBody(BaseTransform):
    """Shows only the upper or the lower body, which the metainfo names, if enough of it is visible.

    The new center is the mean of the visible keypoints of the half, the new scale their extent.

    Args:
        prob: Probability.
        min_total: Visible keypoints that a person must have.
        min_upper: Visible keypoints that an upper half must have.
        min_lower: Likewise.
        padding: Factor of the extent.
        upper_prob: Probability of the upper half where both would do.

    Raises:
        ConfigError: If the metainfo does not say what the halves are.
    """

    prob: float = 0.3
    min_total: int = 9
    min_upper: int = 2
    min_lower: int = 3
    padding: float = 1.5
    upper_prob: float = 0.7

    def transform(self, sample: Sample) -> Sample:
        """Draws whether, and which half, and replaces bbox_center and bbox_scale."""
        rng = sample["rng"]
        visible = sample["keypoints_visible"][0] > 0
        if rng.random() >= self.prob or visible.sum() < self.min_total:
            return sample
        upper = _half(sample["metainfo"], "upper_body", visible)
        lower = _half(sample["metainfo"], "lower_body", visible)
        enough = len(upper) >= self.min_upper, len(lower) >= self.min_lower
        if not any(enough):
            return sample
        takes_upper = rng.random() < self.upper_prob if all(enough) else enough[0]
        points = sample["keypoints"][0, upper if takes_upper else lower].astype(np.float64)
        extent = np.ptp(points, axis=0)
        if extent.min() > 0:
            sample.update(bbox_center=points.mean(axis=0), bbox_scale=extent * self.padding)
        return sample


def _half(metainfo: dict, key: str, visible: NDArray) -> list[int]:
    """Ids of the visible keypoints of a half."""
    if not metainfo.get(key):
        raise ConfigError(
            f"RandomHalfBody: the metainfo {metainfo.get('name')!r} has no {key}. Name its "
            "keypoints there, or take RandomHalfBody out of the pipeline."
        )
    names = set(metainfo[key])
    return [i for i, name in enumerate(metainfo["keypoints"]) if name in names and visible[i]]


@TRANSFORMS.register_module()
@dataclass(kw_only=True, eq=False)
class RandomBBoxTransform(BaseTransform):
    """Shifts, scales and turns what the crop shows.

    Each effect is drawn as t times its factor, with t normal and cut off at -1 and 1.

    Args:
        shift_factor: Largest shift, as a share of the scale, along each axis.
        shift_prob: Its probability.
        scale_factor: Lowest and highest factor of the scale, for both axes.
        scale_prob: Its probability.
        rotate_factor: Largest angle, degrees.
        rotate_prob: Its probability.
    """

    shift_factor: float = 0.16
    shift_prob: float = 0.3
    scale_factor: Sequence[float] = (0.5, 1.5)
    scale_prob: float = 1.0
    rotate_factor: float = 80.0
    rotate_prob: float = 0.6

    def __post_init__(self) -> None:
        require_range(self, "scale_factor", self.scale_factor)

    def transform(self, sample: Sample) -> Sample:
        """Draws the effects and changes bbox_center, bbox_scale and bbox_rotation."""
        rng = sample["rng"]
        scale = sample["bbox_scale"]
        if rng.random() < self.shift_prob:
            t = np.array([_cut_normal(rng), _cut_normal(rng)])
            sample["bbox_center"] = sample["bbox_center"] + self.shift_factor * t * scale
        if rng.random() < self.scale_prob:
            low, high = self.scale_factor
            sample["bbox_scale"] = scale * ((low + high) / 2 + (high - low) / 2 * _cut_normal(rng))
        if rng.random() < self.rotate_prob:
            sample["bbox_rotation"] = self.rotate_factor * _cut_normal(rng)
        return sample


def _cut_normal(rng: np.random.Generator) -> float:
    """A number of the standard normal distribution, given that it is in [-1, 1]."""
    while True:
        t = rng.standard_normal()
        if abs(t) <= 1:
            return float(t)


@TRANSFORMS.register_module()
class TopdownAffine(BaseTransform):
    """Cuts out the crop: ``bbox_scale`` is enlarged to the aspect ratio of ``size_hw``.

    Args:
        size_hw: (height, width) of the crop, pixels; ``load_config`` fills in ``input_size_hw``.
    """

    def __init__(self, *, size_hw: Sequence[int] | None = None) -> None:
        self.size_hw = require_size(self, size_hw)

    def transform(self, sample: Sample) -> Sample:
        """Composes the UDP matrix of the crop onto the sample's."""
        size_wh = self.size_hw[::-1]
        before = sample["matrix"]
        center = geometry.transform_points(np.asarray(sample["bbox_center"]), before)
        scale = sample["bbox_scale"] * np.linalg.norm(before[:, :2], axis=0)
        crop = udp_matrix(center, fix_aspect(scale, size_wh), size_wh, sample["bbox_rotation"])
        sample["matrix"] = geometry.compose(before, crop)
        sample["size_hw"] = self.size_hw
        return sample


@TRANSFORMS.register_module()
@dataclass(kw_only=True, eq=False)
class RequireKeypoints(BaseTransform):
    """Rejects a sample of which the crop shows too few keypoints; the dataset draws another.

    Put it before ``Warp``: a rejected image is then not decoded.

    Args:
        num_keypoints: How many of the visible ones must be in the crop.
        margin: How far outside the crop they may be, pixels of the crop: as far as the blob of a
            heatmap reaches, which is 3 sigma times the stride.
    """

    num_keypoints: int
    margin: float = 0.0

    def transform(self, sample: Sample) -> Sample | None:
        """Returns the sample, or None."""
        points = geometry.transform_points(sample["keypoints"], sample["matrix"])
        last = np.array(sample["size_hw"][::-1]) - 1
        inside = ((points >= -self.margin) & (points <= last + self.margin)).all(axis=-1)
        num = int((inside & (sample["keypoints_visible"] > 0)).sum())
        return sample if num >= self.num_keypoints else None
