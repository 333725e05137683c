"""Which of several detections of one person to keep, and how much to trust it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def rescore(
    bbox_scores: ArrayLike, keypoint_scores: ArrayLike, keypoint_score_thr: float = 0.2
) -> NDArray[np.float64]:
    """Scores of people: that of the box times the mean of the keypoints above a threshold.

    Args:
        bbox_scores: (N,).
        keypoint_scores: (N, K).
        keypoint_score_thr: Keypoints at or below it do not count.

    Returns:
        (N,); 0 where no keypoint counts.
    """
    scores = np.asarray(keypoint_scores, np.float64)
    counts = scores > keypoint_score_thr
    means = np.where(counts, scores, 0).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
    return np.asarray(bbox_scores, np.float64) * means


def oks(
    keypoints: NDArray, area: float, others: NDArray, other_areas: NDArray, sigmas: NDArray
) -> NDArray[np.float64]:
    """Object keypoint similarity (COCO) of one person with others, over all keypoints.

    Args:
        keypoints: (K, 2), pixels.
        area: Of the person, pixels.
        others: (N, K, 2).
        other_areas: (N,).
        sigmas: (K,), those of the metainfo.

    Returns:
        (N,), in [0, 1].
    """
    squared = ((others - keypoints) ** 2).sum(axis=-1)
    mean_area = (area + other_areas) / 2 + np.spacing(1)
    return np.exp(-squared / (2 * (2 * sigmas) ** 2 * mean_area[:, None])).mean(axis=1)


def oks_nms(
    keypoints: NDArray, scores: NDArray, areas: NDArray, sigmas: NDArray, threshold: float = 0.9
) -> list[int]:
    """Keeps people by falling score, unless they are too similar to one that is kept.

    Args:
        keypoints: (N, K, 2), pixels.
        scores: (N,).
        areas: (N,), pixels.
        sigmas: (K,).
        threshold: Similarity above which a person is dropped.

    Returns:
        Indices of those kept, by falling score; at equal scores the later one comes first.
    """
    order = np.argsort(scores, kind="stable")[::-1]
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        similar = oks(keypoints[first], areas[first], keypoints[rest], areas[rest], sigmas)
        order = rest[similar <= threshold]
    return kept
