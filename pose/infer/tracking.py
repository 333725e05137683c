"""Who is who over the frames of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_NEVER = 1e3  # cost of two that cannot be the same; others cost at most 1
_NEWEST = 0.5  # weight of the newest measurement of a velocity


@dataclass(eq=False)
class _Track:
    """Somebody as last seen; the velocity is that of the box's center, in pixels a second."""

    track_id: int
    box: NDArray
    keypoints: NDArray
    is_seen: NDArray
    time_s: float
    velocity: NDArray
    num_lost: int = 0

    def offset(self, time_s: float) -> NDArray:
        """How far it has moved since, at a constant velocity (2,)."""
        return self.velocity * (time_s - self.time_s)


class Tracker:
    """Gives the people of a video ids that they keep, 1, 2, ...; none is given twice.

    Frame by frame, people and tracks are paired so that the sum of their similarities is greatest
    (the Hungarian method: Kuhn, 1955). It is the mean of the IoU of their boxes and of their object
    keypoint similarity, both with the track moved on at the velocity that it had (constant velocity
    and IoU: SORT, Bewley et al., 2016).

    Args:
        sigmas: (K,) of the metainfo. Empty if unknown: then boxes alone count.
        min_similarity: Lowest similarity, in [0, 1], of who may be the same.
        max_lost: Frames for which somebody who is not found is waited for.
        kpt_thr: Keypoints with a lower score are not compared.
    """

    def __init__(
        self,
        sigmas: Sequence[float] = (),
        min_similarity: float = 0.2,
        max_lost: int = 30,
        kpt_thr: float = 0.3,
    ) -> None:
        self.sigmas = np.asarray(sigmas, np.float64)
        self.min_similarity, self.max_lost, self.kpt_thr = min_similarity, max_lost, kpt_thr
        self._tracks: list[_Track] = []
        self._num_ids = 0

    def update(
        self, keypoints: ArrayLike, scores: ArrayLike, boxes: ArrayLike, time_s: float
    ) -> NDArray[np.int64]:
        """Returns the ids (N,) of the people of the next frame.

        Args:
            keypoints: (N, K, 2), pixels.
            scores: (N, K).
            boxes: (N, 4): x1, y1, x2, y2, pixels.
            time_s: Of the frame, seconds; later than that of the one before.
        """
        # Not above: it takes longer to import than all else of pose.
        from scipy.optimize import linear_sum_assignment

        points, boxes_xyxy = np.asarray(keypoints, np.float64), np.asarray(boxes, np.float64)
        seen = np.asarray(scores) >= self.kpt_thr
        cost = self._costs(points, seen, boxes_xyxy.reshape(-1, 4), time_s)
        ids = np.zeros(len(points), np.int64)
        for track in self._tracks:
            track.num_lost += 1
        for row, column in zip(*linear_sum_assignment(cost), strict=True):
            if cost[row, column] < _NEVER:
                track, ids[column] = self._tracks[row], self._tracks[row].track_id
                _follow(track, boxes_xyxy[column], points[column], seen[column], time_s)
        for i in np.flatnonzero(ids == 0):
            self._num_ids += 1
            ids[i] = self._num_ids
            still = np.zeros(2)
            self._tracks.append(
                _Track(self._num_ids, boxes_xyxy[i], points[i], seen[i], time_s, still)
            )
        self._tracks = [track for track in self._tracks if track.num_lost <= self.max_lost]
        return ids

    def _costs(self, points: NDArray, seen: NDArray, boxes: NDArray, time_s: float) -> NDArray:
        """(tracks, people): 1 - similarity."""
        costs = np.full((len(self._tracks), len(boxes)), _NEVER)
        for row, track in enumerate(self._tracks):
            offset = track.offset(time_s)
            similarity = iou(track.box + np.tile(offset, 2), boxes)
            if len(self.sigmas):
                both = seen & track.is_seen
                moved = track.keypoints + offset
                alike = _oks(moved, _area(track.box), points, _area(boxes), both, self.sigmas)
                similarity = np.where(both.any(axis=1), (similarity + alike) / 2, similarity)
            fits = similarity >= self.min_similarity
            costs[row, fits] = 1 - similarity[fits]
        return costs


def _follow(track: _Track, box: NDArray, points: NDArray, seen: NDArray, time_s: float) -> None:
    moved = (box - track.box).reshape(2, 2).mean(axis=0) / max(time_s - track.time_s, 1e-6)
    track.velocity = _NEWEST * moved + (1 - _NEWEST) * track.velocity
    track.box, track.keypoints, track.is_seen = box, points, seen
    track.time_s, track.num_lost = time_s, 0


def iou(box: NDArray, boxes: NDArray) -> NDArray[np.float64]:
    """Intersection over union of a box (4,) with others (N, 4): x1, y1, x2, y2; (N,) in [0, 1]."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = sides.clip(min=0).prod(axis=1)
    return common / np.maximum(_area(box) + _area(boxes) - common, 1e-9)


def _area(boxes: NDArray) -> NDArray:
    return (boxes[..., 2:] - boxes[..., :2]).clip(min=0).prod(axis=-1)


def _oks(
    keypoints: NDArray,
    area: NDArray,
    others: NDArray,
    other_areas: NDArray,
    counts: NDArray,
    sigmas: NDArray,
) -> NDArray[np.float64]:
    """Object keypoint similarity (COCO) of a person with others (N,), over what counts (N, K)."""
    squared = ((others - keypoints) ** 2).sum(axis=-1)
    mean_area = (area + other_areas)[:, None] / 2 + 1e-9
    similarity = np.exp(-squared / (2 * (2 * sigmas) ** 2 * mean_area))
    return np.where(counts, similarity, 0).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
