"""The field table: one row for every kind of data that geometry moves. Only ``Warp`` reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.sample import Sample
from engine.errors import ConfigError

Adjust = Callable[[NDArray, geometry.Matrix, Sample], NDArray]


@dataclass(frozen=True)
class Field:
    """How one key of a sample follows the map of the image plane.

    Args:
        resample: ``"linear"`` and ``"nearest"`` for maps (H, W) or (H, W, C), ``"points"`` for
            (..., 2) x, y, ``"boxes"`` for (..., 4) x1, y1, x2, y2; None: the values do not move.
        border: What a map holds where the canvas shows nothing of it.
        adjust: What a map of the plane does to the values themselves, once resampled.
    """

    resample: Literal["linear", "nearest", "points", "boxes"] | None
    border: float = 0
    adjust: Adjust | None = None


def swap_labels(seg_map: NDArray, matrix: geometry.Matrix, sample: Sample) -> NDArray:
    """Exchanges left and right classes of a mirrored label map (H, W) uint8.

    The pairs are ``sample["swap_seg_labels"]`` (set by RandomFlip), else those of the metainfo.

    Raises:
        ConfigError: If neither is there, or a pair names no class of the dataset.
    """
    if not geometry.is_mirror(matrix):
        return seg_map
    metainfo = sample.get("metainfo", {})
    pairs = sample.get("swap_seg_labels", metainfo.get("swap_seg_labels"))
    if pairs is None:
        raise ConfigError(
            "a label map was mirrored, but nothing says which labels to swap: give the dataset "
            "flip_pairs, or RandomFlip(swap_seg_labels=[...]) ([] if no class has a side)."
        )
    num_classes = len(metainfo.get("classes", range(256)))
    return cv2.LUT(seg_map, _swap_table(tuple((int(a), int(b)) for a, b in pairs), num_classes))


@lru_cache
def _swap_table(pairs: tuple[tuple[int, int], ...], num_classes: int) -> NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    for a, b in pairs:
        if not (0 <= a < num_classes and 0 <= b < num_classes):
            raise ConfigError(
                f"swap_seg_labels has the pair ({a}, {b}), but the dataset's {num_classes} classes "
                f"are 0..{num_classes - 1}."
            )
        table[a], table[b] = b, a
    return table


def turn_normals(normal: NDArray, matrix: geometry.Matrix, sample: Sample) -> NDArray:
    """Turns, mirrors and un-stretches unit normals (H, W, 3) with the image; x right, y up.

    The map acts on space as B = diag(A, s), with A its linear part and s = sqrt(|det A|): a zoom
    magnifies depth too, so it leaves directions alone. Normals are covectors: n' ~ B^-T n. Times
    s that is (s A^-T (n_x, n_y), n_z), then normalised: a rotation turns (n_x, n_y), a flip
    negates n_x, a stretch along x flattens n_x.
    """
    linear = matrix[:, :2]
    turn = np.sqrt(abs(np.linalg.det(linear))) * np.linalg.inv(linear).T
    turn *= [[1, -1], [-1, 1]]  # y of normals points up, that of pixels down
    if np.allclose(turn, np.eye(2), rtol=0, atol=geometry.TOLERANCE):
        return normal
    turned = normal.copy()
    turned[..., :2] = normal[..., :2] @ turn.T.astype(normal.dtype)
    length = np.linalg.norm(turned, axis=-1, keepdims=True)
    return turned / np.maximum(length, np.finfo(normal.dtype).tiny)


def swap_keypoints(axis: int) -> Adjust:
    """Makes the row action that exchanges left and right keypoints along ``axis`` in a mirror.

    It takes the order from ``metainfo["keypoint_swap_indices"]``, (K,): the keypoint that takes
    each one's place.
    """

    def adjust(values: NDArray, matrix: geometry.Matrix, sample: Sample) -> NDArray:
        if not geometry.is_mirror(matrix):
            return values
        indices = sample.get("metainfo", {}).get("keypoint_swap_indices")
        if indices is None:
            raise ConfigError(
                "keypoints were mirrored, but the dataset's metainfo has no keypoint_swap_indices."
            )
        return np.take(values, indices, axis=axis)

    return adjust


FIELDS: dict[str, Field] = {
    "img": Field("linear"),
    "seg_map": Field("nearest", border=255, adjust=swap_labels),
    "mask": Field("nearest"),
    "depth": Field("nearest", border=np.nan),
    "normal": Field("nearest", border=np.nan, adjust=turn_normals),
    "keypoints": Field("points", adjust=swap_keypoints(axis=-2)),
    "keypoints_visible": Field(None, adjust=swap_keypoints(axis=-1)),
    "bbox": Field("boxes"),
}
