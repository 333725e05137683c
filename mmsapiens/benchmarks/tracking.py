"""How well people keep their ids in a video, and how steady their keypoints are.

Of a rendered film in which two people walk past each other (``mmsapiens.synthetic.walkers``) all
keypoints are known. What a model would find in it is made of them by adding noise; whoever is
mostly hidden is not found.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from engine.tables import format_table
from mmsapiens.synthetic import keypoints_of, render
from mmsapiens.synthetic.walkers import sample_walkers
from pose.infer.smoothing import KeypointSmoother
from pose.infer.tracking import Tracker
from pose.metainfo import COCO

SIZE_HW = (480, 640)
HIDDEN = 0.5  # share of visible keypoints below which a person is not found
Track = Callable[["Found", float], NDArray]
"""Gives the people of a frame ids (N,)."""


class Film(NamedTuple):
    """What is true of two people in T frames.

    Attributes:
        times_s: (T,).
        keypoints: (T, 2, K, 3): x, y in pixels, and 2 where they are visible.
        boxes: (T, 2, 4): of what is visible.
    """

    times_s: NDArray
    keypoints: NDArray
    boxes: NDArray


class Found(NamedTuple):
    """What a model finds in a frame, in any order.

    Attributes:
        person: (N,) who it is in truth, 0 or 1.
        keypoints: (N, K, 2).
        scores: (N, K).
        boxes: (N, 4).
    """

    person: NDArray
    keypoints: NDArray
    scores: NDArray
    boxes: NDArray


def run(args: argparse.Namespace) -> None:
    """Measures both and prints the results."""
    film = make_film(args.seconds, args.fps, SIZE_HW)
    noise = args.noise * SIZE_HW[0]
    frames = find(film, noise)
    console = Console(highlight=False, soft_wrap=True)
    num_missed = 2 * len(frames) - sum(len(found.person) for found in frames)
    console.print(
        f"{len(frames)} frames of {SIZE_HW[1]}x{SIZE_HW[0]} at {args.fps:g} a second; noise of "
        f"{noise:.1f} pixels; a person is hidden in {num_missed} frames\n"
    )
    ways: dict[str, Track] = {
        "by place in the list": lambda found, _: np.arange(len(found.person)),
        "from left to right": lambda found, _: np.argsort(np.argsort(found.boxes[:, 0])),
        "boxes": track_with(Tracker()),
        "boxes and keypoints": track_with(Tracker(COCO.sigmas)),
    }
    rows = [(name, str(count_switches(frames, film, track))) for name, track in ways.items()]
    console.print(format_table(("ids", "switches"), rows), end="\n\n")
    standing = film._replace(keypoints=np.repeat(film.keypoints[:1], len(frames), 0))
    table: list[tuple[str, ...]] = []
    for way, what in (("walking", film), ("standing", standing)):
        for name, points in keypoints_of_ways(what, noise).items():
            figures = jitter(points), error(points, what)
            lag = f"{lag_ms(points, what):.0f}" if way == "walking" else ""
            table.append((f"{name}, {way}", *(f"{figure:.2f}" for figure in figures), lag))
    console.print(format_table(("keypoints", "jitter, px", "error, px", "lag, ms"), table))


def keypoints_of_ways(film: Film, noise: float) -> dict[str, NDArray[np.float64]]:
    """Keypoints (T, 2, K, 2) that are true, found and smoothed, by these names."""
    frames = find(film, noise)
    return {
        "true": film.keypoints[..., :2].astype(float),
        "found": tracks_of(frames, film),
        "smoothed": tracks_of(frames, film, KeypointSmoother()),
    }


def make_film(seconds: float, fps: float, size_hw: tuple[int, int], seed: int = 0) -> Film:
    """Renders two people who meet in the middle of the film."""
    walkers = sample_walkers(np.random.default_rng(seed), meet_s=seconds / 2)
    times_s = np.arange(round(seconds * fps)) / fps
    pictures = [render(walkers.scene(time_s), size_hw) for time_s in times_s.tolist()]
    keypoints = [[keypoints_of(p, COCO.keypoints, i) for i in range(2)] for p in pictures]
    nothing = np.zeros(4, np.float32)
    boxes = [
        [box if (box := p.box_of(i)) is not None else nothing for i in range(2)] for p in pictures
    ]
    return Film(times_s, np.array(keypoints), np.array(boxes))


def find(film: Film, noise: float, seed: int = 0) -> list[Found]:
    """Adds noise, of a deviation in pixels, and leaves out who is hidden; in random order.

    Hidden keypoints have three times the noise, and a low score.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for keypoints, boxes in zip(film.keypoints, film.boxes, strict=True):
        visible = keypoints[..., 2] == 2
        people = rng.permutation(np.flatnonzero(visible.mean(axis=1) >= HIDDEN))
        deviation = np.where(visible, noise, 3 * noise)[..., None]
        points = keypoints[..., :2] + deviation * rng.standard_normal(keypoints[..., :2].shape)
        around = boxes + noise * rng.standard_normal(boxes.shape)
        scores = np.where(visible, 0.9, 0.4)
        frames.append(Found(people, points[people], scores[people], around[people]))
    return frames


def track_with(tracker: Tracker) -> Track:
    """Ids by a tracker."""
    return lambda found, time_s: tracker.update(found.keypoints, found.scores, found.boxes, time_s)


def count_switches(frames: list[Found], film: Film, track: Track) -> int:
    """How often the id of one of the two is another one than before."""
    before: dict[int, int] = {}
    num = 0
    for found, time_s in zip(frames, film.times_s, strict=True):
        now = dict(zip(found.person.tolist(), track(found, time_s).tolist(), strict=True))
        num += sum(before.get(person, person_id) != person_id for person, person_id in now.items())
        before.update(now)
    return num


def tracks_of(
    frames: list[Found], film: Film, smoother: KeypointSmoother | None = None
) -> NDArray[np.float64]:
    """Keypoints (T, 2, K, 2) of the two as found, or smoothed; NaN where they are not found."""
    tracks = np.full((*film.keypoints.shape[:3], 2), np.nan)
    for track, found, time_s in zip(tracks, frames, film.times_s, strict=True):
        track[found.person] = found.keypoints
        for i, points, scores in zip(found.person, found.keypoints, found.scores, strict=True):
            if smoother is not None:
                track[i] = smoother.smooth(int(i), points, scores, time_s)
    return tracks


def jitter(points: NDArray) -> float:
    """Mean length of the second differences in time of keypoints (T, 2, K, 2), pixels."""
    return float(np.nanmean(np.linalg.norm(np.diff(points, n=2, axis=0), axis=-1)))


def error(points: NDArray, film: Film, late_s: float = 0.0) -> float:
    """Mean distance in pixels of keypoints (T, 2, K, 2) from the truth ``late_s`` before."""
    flat = film.keypoints[..., :2].reshape(len(film.times_s), -1)
    asked = film.times_s - late_s
    truth = np.stack([np.interp(asked, film.times_s, column) for column in flat.T], axis=1)
    inside = (asked >= film.times_s[0]) & (asked <= film.times_s[-1])
    distances = np.linalg.norm(points - truth.reshape(points.shape), axis=-1)
    return float(np.nanmean(distances[inside]))


def lag_ms(points: NDArray, film: Film) -> float:
    """By how many milliseconds keypoints come late: where their error is least."""
    candidates = np.arange(-50, 200)
    return float(candidates[np.argmin([error(points, film, ms / 1000) for ms in candidates])])
