"""Keypoints of a video without jitter: the One-Euro filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(eq=False)
class _State:
    """Of a person; of each keypoint, when it was last seen, NaN for never."""

    position: NDArray
    velocity: NDArray
    seen_s: NDArray
    time_s: float


class KeypointSmoother:
    """Smooths the keypoints of people, each with a One-Euro filter (Casiez et al., CHI 2012).

    That is a low-pass filter whose cutoff frequency rises with the speed, so that it takes away
    jitter at rest and lags little in motion. The speed is that of the keypoint in both directions,
    in sizes of the person a second: results do not depend on resolution, distance or frame rate.
    The size is the diagonal of the box around the keypoints.

    A keypoint of a low score stays where it was for ``hold_s`` seconds, then is returned as it is.

    Args:
        min_cutoff_hz: Cutoff frequency at rest; lower is smoother.
        beta: By how many Hz it rises with each size a second; higher lags less.
        speed_cutoff_hz: Cutoff frequency of the speed itself.
        kpt_thr: What score is low.
        hold_s: See above; somebody who was not seen for as long starts anew.
    """

    def __init__(
        self,
        min_cutoff_hz: float = 1.0,
        beta: float = 20.0,
        speed_cutoff_hz: float = 1.0,
        kpt_thr: float = 0.3,
        hold_s: float = 0.5,
    ) -> None:
        self.min_cutoff_hz, self.beta, self.speed_cutoff_hz = min_cutoff_hz, beta, speed_cutoff_hz
        self.kpt_thr, self.hold_s = kpt_thr, hold_s
        self._states: dict[int, _State] = {}

    def smooth(
        self, person_id: int, keypoints: ArrayLike, scores: ArrayLike, time_s: float
    ) -> NDArray[np.float64]:
        """Returns the keypoints (K, 2) of a person in the next frame, smoothed.

        Args:
            person_id: As of a :class:`pose.infer.tracking.Tracker`.
            keypoints: (K, 2), pixels.
            scores: (K,).
            time_s: Of the frame, seconds; not earlier than that of the call before.
        """
        points = np.asarray(keypoints, np.float64)
        self._states = {k: s for k, s in self._states.items() if time_s - s.time_s <= self.hold_s}
        if person_id not in self._states:
            never = np.full(len(points), np.nan)
            self._states[person_id] = _State(points.copy(), np.zeros_like(points), never, time_s)
        state = self._states[person_id]
        state.time_s = time_s

        seen = np.asarray(scores) >= self.kpt_thr
        known = time_s - state.seen_s <= self.hold_s
        self._filter(state, seen & known, points, time_s)
        first = seen & ~known
        state.position[first], state.velocity[first] = points[first], 0
        state.seen_s[seen] = time_s
        return np.where((seen | known)[:, None], state.position, points)

    def _filter(self, state: _State, which: NDArray, points: NDArray, time_s: float) -> None:
        """Algorithm 1 of the paper, with the time that really passed; for some of the keypoints."""
        step_s = np.maximum(time_s - state.seen_s[which], 1e-6)[:, None]
        before, speed_before = state.position[which], state.velocity[which]
        velocity = (points[which] - before) / step_s
        velocity = _mix(velocity, speed_before, _alpha(self.speed_cutoff_hz, step_s))
        speed = np.linalg.norm(velocity, axis=1, keepdims=True) / _size(points[which])
        cutoff_hz = self.min_cutoff_hz + self.beta * speed
        state.position[which] = _mix(points[which], before, _alpha(cutoff_hz, step_s))
        state.velocity[which] = velocity


def _mix(new: NDArray, old: NDArray, alpha: NDArray) -> NDArray:
    return alpha * new + (1 - alpha) * old


def _alpha(cutoff_hz: NDArray | float, step_s: NDArray) -> NDArray:
    """Weight of a new value in a low-pass filter (eq. 3 and 5 of the paper)."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))


def _size(points: NDArray) -> float:
    """Diagonal of the box around keypoints (N, 2), at least a pixel."""
    return max(float(np.linalg.norm(np.ptp(points, axis=0))), 1.0) if len(points) else 1.0
