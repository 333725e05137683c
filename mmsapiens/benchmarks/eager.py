"""The dense training recipe made of MMCV's stock transforms, each of which moves pixels at once.

It is what ``mmsapiens.benchmarks.data`` compares the lazy pipeline with. What MMCV lacks (crop with
category share, rotation, photometric distortion) is written plainly, one step after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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
    steps: list[Callable] = []
    for transform in lazy:
        name = type(transform).__name__
        if name in EAGER:
            steps.append(EAGER[name](transform, swap_seg_labels))
        elif name != "Warp":  # which has nothing left to do
            return None
    return Compose(steps)


def _crop(transform: RandomCrop, results: Results) -> Results:
    """Crops img and gt_seg_map at random, counting labels with ``np.unique`` on the full crop."""

    height, width = transform.size_hw
    rows, columns = results["img"].shape[:2]

    def draw() -> tuple[slice, slice]:
        top = np.random.randint(max(rows - height, 0) + 1)
        left = np.random.randint(max(columns - width, 0) + 1)
        return slice(top, top + height), slice(left, left + width)

    window = draw()
    if transform.cat_max_ratio < 1:
        for _ in range(CROP_REDRAWS):
            labels, counts = np.unique(results["gt_seg_map"][window], return_counts=True)
            counts = counts[labels != transform.ignore_index]
            if len(counts) > 1 and counts.max() / counts.sum() < transform.cat_max_ratio:
                break
            window = draw()
    results["img"] = results["img"][window]
    results["gt_seg_map"] = results["gt_seg_map"][window]
    results["img_shape"] = results["img"].shape[:2]
    return results


def _rotate(transform: RandomRotate, results: Results) -> Results:
    """Rotates img and gt_seg_map about the centre with ``mmcv.imrotate``."""
    if np.random.rand() < transform.prob:
        angle = np.random.uniform(*transform.degree)
        results["img"] = mmcv.imrotate(results["img"], angle)
        results["gt_seg_map"] = mmcv.imrotate(
            results["gt_seg_map"], angle, border_value=IGNORE_INDEX, interpolation="nearest"
        )
    return results


def _distort(ranges: PhotoMetricDistortion, results: Results) -> Results:
    """Distorts colours in float32, clipping to uint8 and changing colour space for each step."""
    image = results["img"]
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
    return {**results, "img": image}


def _scale(image: NDArray, alpha: float = 1, beta: float = 0) -> NDArray:
    return np.clip(image.astype(np.float32) * alpha + beta, 0, 255).astype(np.uint8)


def _change_background(transform: RandomBackground, results: Results) -> Results:
    """Our own transform, since MMCV has none: both pipelines spend the same on it."""
    rng = np.random.default_rng(np.random.randint(2**31))
    sample = {"img": results["img"], "seg_map": results["gt_seg_map"], "rng": rng}
    return {**results, "img": transform(sample)["img"]}


def _pack(results: Results) -> Results:
    image = np.ascontiguousarray(results["img"].transpose(2, 0, 1))
    labels = results["gt_seg_map"][None].astype(np.int64)
    return {"inputs": torch.from_numpy(image), "gt_sem_seg": torch.from_numpy(labels)}


# MMCV's own or one of the above, from a transform of ours and the pairs of labels that a mirror
# exchanges.
EAGER: dict[str, Callable[[Any, Any], Callable]] = {
    "LoadImage": lambda t, _: stock.LoadImageFromFile(),
    "LoadLabels": lambda t, _: stock.LoadAnnotations(
        with_bbox=False, with_label=False, with_seg=True, imdecode_backend="pillow"
    ),
    "RandomResize": lambda t, _: stock.RandomResize(
        t.size_hw[::-1], t.ratio_range, resize_type=stock.Resize, keep_ratio=True
    ),
    "Resize": lambda t, _: stock.Resize(t.size_hw[::-1], keep_ratio=t.keep_ratio),
    "RandomFlip": lambda t, pairs: stock.RandomFlip(
        float(t.prob), swap_seg_labels=t.swap_seg_labels or pairs
    ),
    "RandomBackground": lambda t, _: partial(_change_background, t),
    "RandomCrop": lambda t, _: partial(_crop, t),
    "RandomRotate": lambda t, _: partial(_rotate, t),
    "PhotoMetricDistortion": lambda t, _: partial(_distort, t),
    "PackInputs": lambda t, _: _pack,
}
