"""The dense training recipe made of MMCV's stock transforms, each of which moves pixels at once.

It is what ``mmsapiens.benchmarks.data`` compares the lazy pipeline with. What MMCV lacks (crop with
category share, rotation, photometric distortion) is written plainly, one step after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmcv import transforms as stock
from mmengine.dataset import Compose
from numpy.typing import NDArray

from engine.data.geometric import CROP_REDRAWS, RandomCrop, RandomRotate
from engine.data.loading import IGNORE_INDEX
from engine.data.photometric import PhotoMetricDistortion
from seg.background import RandomBackground

Results = dict[str, Any]


def eager_pipeline(
    lazy: Sequence[object], swap_seg_labels: Sequence[tuple[int, int]]
) -> Compose | None:
    """Builds the eager pipeline of the same recipe.

    Args:
        lazy: The transforms of a lazy pipeline, whose parameters are taken over.
        swap_seg_labels: Pairs of labels that a mirror exchanges.

    Returns:
        None if a transform has no eager counterpart here.
    """
    names = [type(transform).__name__ for transform in lazy]
    if not COUNTERPARTS.keys() >= set(names):
        return None
    steps = (COUNTERPARTS[n](t, swap_seg_labels) for n, t in zip(names, lazy, strict=True))
    return Compose([step for some in steps for step in some])


class EagerCrop:
    """Crops at random, counting labels with ``np.unique`` on the full crop."""

    def __init__(self, transform: RandomCrop) -> None:
        self.size_hw = transform.size_hw
        self.cat_max_ratio = transform.cat_max_ratio
        self.ignore_index = transform.ignore_index

    def __call__(self, results: Results) -> Results:
        """Crops img and gt_seg_map."""
        window = self._draw(results["img"])
        if self.cat_max_ratio < 1:
            for _ in range(CROP_REDRAWS):
                labels, counts = np.unique(results["gt_seg_map"][window], return_counts=True)
                counts = counts[labels != self.ignore_index]
                if len(counts) > 1 and counts.max() / counts.sum() < self.cat_max_ratio:
                    break
                window = self._draw(results["img"])
        results["img"] = results["img"][window]
        results["gt_seg_map"] = results["gt_seg_map"][window]
        results["img_shape"] = results["img"].shape[:2]
        return results

    def _draw(self, image: NDArray) -> tuple[slice, slice]:
        top = np.random.randint(max(image.shape[0] - self.size_hw[0], 0) + 1)
        left = np.random.randint(max(image.shape[1] - self.size_hw[1], 0) + 1)
        return slice(top, top + self.size_hw[0]), slice(left, left + self.size_hw[1])


class EagerRotate:
    """Rotates about the centre with ``mmcv.imrotate``."""

    def __init__(self, transform: RandomRotate) -> None:
        self.transform = transform

    def __call__(self, results: Results) -> Results:
        """Rotates img and gt_seg_map."""
        if np.random.rand() < self.transform.prob:
            angle = np.random.uniform(*self.transform.degree)
            results["img"] = mmcv.imrotate(results["img"], angle)
            results["gt_seg_map"] = mmcv.imrotate(
                results["gt_seg_map"],
                angle,
                border_value=IGNORE_INDEX,
                interpolation="nearest",
            )
        return results


class EagerPhotoMetric:
    """Distorts colours in float32, clipping to uint8 and changing colour space for each step."""

    def __init__(self, transform: PhotoMetricDistortion) -> None:
        self.transform = transform

    def __call__(self, results: Results) -> Results:
        """Distorts img."""
        image, ranges = results["img"], self.transform
        if np.random.randint(2):
            image = _scale(image, beta=np.random.uniform(-1, 1) * ranges.brightness_delta)
        contrast_first = np.random.randint(2)
        if contrast_first and np.random.randint(2):
            image = _scale(image, alpha=np.random.uniform(*ranges.contrast_range))
        if np.random.randint(2):
            hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
            hsv[..., 1] = _scale(hsv[..., 1], alpha=np.random.uniform(*ranges.saturation_range))
            image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        if np.random.randint(2):
            hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
            shift = np.random.randint(-ranges.hue_delta, ranges.hue_delta)
            hsv[..., 0] = (hsv[..., 0].astype(int) + shift) % 180
            image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        if not contrast_first and np.random.randint(2):
            image = _scale(image, alpha=np.random.uniform(*ranges.contrast_range))
        results["img"] = image
        return results


class EagerBackground:
    """Our own transform, since MMCV has none: both pipelines spend the same on it."""

    def __init__(self, transform: RandomBackground) -> None:
        self.transform = transform

    def __call__(self, results: Results) -> Results:
        """Changes img."""
        rng = np.random.default_rng(np.random.randint(2**31))
        sample = {"img": results["img"], "seg_map": results["gt_seg_map"], "rng": rng}
        results["img"] = self.transform(sample)["img"]
        return results


def _scale(image: NDArray, alpha: float = 1, beta: float = 0) -> NDArray:
    return np.clip(image.astype(np.float32) * alpha + beta, 0, 255).astype(np.uint8)


def _pack(results: Results) -> Results:
    image = np.ascontiguousarray(results["img"].transpose(2, 0, 1))
    labels = results["gt_seg_map"][None].astype(np.int64)
    return {"inputs": torch.from_numpy(image), "gt_sem_seg": torch.from_numpy(labels)}


def _wh(size_hw: tuple[int, int]) -> tuple[int, int]:
    return size_hw[1], size_hw[0]


COUNTERPARTS: dict[str, Callable[[Any, Any], list[Callable]]] = {
    "LoadImage": lambda t, _: [stock.LoadImageFromFile()],
    "LoadLabels": lambda t, _: [
        stock.LoadAnnotations(
            with_bbox=False, with_label=False, with_seg=True, imdecode_backend="pillow"
        )
    ],
    "RandomBackground": lambda t, _: [EagerBackground(t)],
    "RandomResize": lambda t, _: [
        stock.RandomResize(_wh(t.size_hw), t.ratio_range, resize_type=stock.Resize, keep_ratio=True)
    ],
    "RandomCrop": lambda t, _: [EagerCrop(t)],
    "Resize": lambda t, _: [stock.Resize(_wh(t.size_hw), keep_ratio=t.keep_ratio)],
    "RandomRotate": lambda t, _: [EagerRotate(t)],
    "RandomFlip": lambda t, pairs: [
        stock.RandomFlip(float(t.prob), swap_seg_labels=t.swap_seg_labels or pairs)
    ],
    "Warp": lambda t, _: [],
    "PhotoMetricDistortion": lambda t, _: [EagerPhotoMetric(t)],
    "PackInputs": lambda t, _: [_pack],
}
