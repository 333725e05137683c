"""The field table: one row for every kind of data that samples hold.

``Warp`` moves fields by it, ``PackInputs`` packs them, and ``collate_samples`` stacks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.mirror import mirror_order, pairs_of
from engine.data.sample import Sample
from engine.errors import ConfigError

Adjust = Callable[[NDArray, geometry.Matrix, Sample], NDArray]


@dataclass(frozen=True)
class Field:
    """How one key of a sample follows the map of the image plane, and how it is packed and stacked.

    Args:
        resample: ``"linear"`` and ``"nearest"`` for maps (H, W) or (H, W, C), ``"points"`` for
            (..., 2) x, y, ``"boxes"`` for (..., 4) x1, y1, x2, y2; None: the values do not move.
        border: What a map holds where the canvas shows nothing of it.
        adjust: What a map of the plane does to the values themselves, once resampled.
        packed: Name in the data sample; empty for what only transforms read. A map becomes
            ``PixelData`` (C, H, W), and those of a batch are stacked, (B, C, H, W). With a dot it
            is a value of each person, such as ``"gt_instances.keypoints"``: (N, ...) in an
            ``InstanceData``, and those of a batch are joined.
    """

    resample: Literal["linear", "nearest", "points", "boxes"] | None
    border: float = 0
    adjust: Adjust | None = None
    packed: str = ""

    @property
    def is_of_people(self) -> bool:
        """Whether there is a value for each person instead of a map."""
        return "." in self.packed


def swap_labels(seg_map: NDArray, matrix: geometry.Matrix, sample: Sample) -> NDArray:
    """Exchanges left and right classes of a mirrored label map (H, W) uint8.

    The pairs are ``sample["swap_seg_labels"]`` (set by RandomFlip), else those of the metainfo.

    Raises:
        ConfigError: If neither is there, or a pair names no class of the dataset.
    """
    if not geometry.is_mirror(matrix):
        return seg_map
    metainfo = sample.get("metainfo", {})
    pairs = sample.get("swap_seg_labels")
    pairs = pairs_of(metainfo, "classes") if pairs is None else pairs
    if pairs is None:
        raise ConfigError(
            "a label map was mirrored, but nothing says which labels to swap: give the dataset "
            "flip_pairs, or RandomFlip(swap_seg_labels=[...]) ([] if no class has a side)."
        )
    num_classes = len(metainfo.get("classes", range(256)))
    order = mirror_order(num_classes, tuple((int(a), int(b)) for a, b in pairs))
    return cv2.LUT(seg_map, np.array([*order, *range(num_classes, 256)], np.uint8))


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


def swap_keypoints(values: NDArray, matrix: geometry.Matrix, sample: Sample) -> NDArray:
    """Exchanges left and right keypoints of mirrored values (N, K) or (N, K, 2).

    Raises:
        ConfigError: If the metainfo does not say which.
    """
    if not geometry.is_mirror(matrix):
        return values
    pairs = pairs_of(sample.get("metainfo", {}), "keypoints")
    if pairs is None:
        raise ConfigError(
            "keypoints were mirrored, but the dataset's metainfo lacks keypoints or flip_pairs."
        )
    return values[:, mirror_order(values.shape[1], pairs)]


FIELDS: dict[str, Field] = {
    "img": Field("linear"),
    "seg_map": Field("nearest", border=255, adjust=swap_labels, packed="gt_sem_seg"),
    "mask": Field("nearest", packed="gt_mask"),
    "depth": Field("nearest", border=np.nan, packed="gt_depth_map"),
    "normal": Field("nearest", border=np.nan, adjust=turn_normals, packed="gt_normal_map"),
    "keypoints": Field("points", adjust=swap_keypoints, packed="gt_instances.keypoints"),
    "keypoints_visible": Field(
        None, adjust=swap_keypoints, packed="gt_instances.keypoints_visible"
    ),
    "bbox": Field("boxes", packed="gt_instances.bboxes"),
}
