"""Draws whole people: random bodies, poses and clothes, seen from near and from far."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .build import rotation, vec
from .clothes import dressed_body
from .face import sample_identity
from .figure import Figure
from .head import DISTANCE, NECK, head_solids
from .poses import pick, sample_arm, sample_legs, spread
from .scene import Scene, sample_background, sample_light
from .skeleton import place_limbs, sample_build
from .solids import Solid

FRAMINGS = {"full": 0.3, "upper": 0.2, "legs": 0.2, "head": 0.3}
ASPECT = 0.75  # width by height of the pictures that framing is meant for
GAP = 5.0  # in depth between the people of a group


@dataclass(frozen=True, eq=False)
class Person:
    """The solids of a person, and where its head ended up (3,)."""

    solids: tuple[Solid, ...]
    head: np.ndarray

    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest x and y (2,)."""
        centres = np.array([s.centre[:2] for s in self.solids])
        reach = np.array([s.half_extent() for s in self.solids])
        return (centres - reach).min(axis=0), (centres + reach).max(axis=0)

    def placed(self, at: np.ndarray, index: int = 0) -> tuple[Solid, ...]:
        """The solids moved by ``at`` (3,), as those of person ``index``."""
        return tuple(replace(s.moved(np.eye(3), at), person=index) for s in self.solids)


def sample_person(rng: np.random.Generator, variety: float = 1.0) -> Scene:
    """Draws a scene with one person, for a portrait picture.

    All 28 classes of Goliath and 20 of LIP occur over many of them. The person is seen in full,
    from the hips up, from the hips down, or as a head with shoulders; it turns by up to 50 degrees,
    and one in ten of those that are not close-ups turns its back.

    Args:
        rng: Source of all that is random.
        variety: From 1, any of this, to 0: everybody stands still, looks into the camera and fills
            the same part of the picture. Framings, builds, faces, clothes, light and background
            always vary.
    """
    framing = pick(rng, FRAMINGS)
    person = _draw(rng, framing == "head", variety)
    low, high = person.extent()
    if framing == "full":
        height = float(max(high[1] - low[1], (high[0] - low[0]) / ASPECT))
        height *= spread(rng, (1.03, 1.2), variety)
        target = 0.5 * (low + high)
    elif framing == "upper":
        height = spread(rng, (5.5, 8.5), variety)
        target = np.array([0.0, low[1] + 0.45 * height])
    elif framing == "legs":
        height = spread(rng, (5.5, 7.0), variety)
        target = np.array([0.0, high[1] - 0.45 * height])
    else:
        height = spread(rng, (2.2, 3.2), variety)
        target = person.head[:2] + np.array([0.0, 0.1 * height])
    target = target + variety * rng.uniform(-0.04, 0.04, 2) * height
    place = vec(-target[0], -target[1], DISTANCE)
    light = sample_light(rng)
    return Scene(person.placed(place), light, height, sample_background(rng, 0.7 * height))


def sample_group(rng: np.random.Generator, num: int, variety: float = 1.0) -> Scene:
    """Draws a scene with ``num`` people side by side and behind each other.

    They may hide each other, and some may stick out of the picture. Person i of the scene has
    index i; a higher index is farther away. ``variety`` is that of :func:`sample_person`.
    """
    people = [_draw(rng, close=False, variety=variety) for _ in range(num)]
    extents = [person.extent() for person in people]
    height = max(float(high[1] - low[1]) for low, high in extents) * rng.uniform(1.05, 1.35)
    step = rng.uniform(2.2, 4.0)
    columns = (rng.permutation(num) - 0.5 * (num - 1)) * step
    solids: list[Solid] = []
    for index, (person, (low, high), x) in enumerate(zip(people, extents, columns, strict=True)):
        y = -0.5 * (low[1] + high[1]) + rng.uniform(-0.06, 0.06) * height
        solids += person.placed(vec(float(x), float(y), DISTANCE + GAP * index), index)
    light = sample_light(rng)
    return Scene(tuple(solids), light, height, sample_background(rng, 0.7 * height))


def _draw(rng: np.random.Generator, close: bool, variety: float) -> Person:
    """A person in its own frame, turned; ``close`` shows it from the front."""
    who, build = sample_identity(rng), sample_build(rng)
    legs = sample_legs(rng, variety)
    left, right = (place_limbs(build, sample_arm(rng, variety), leg) for leg in legs)
    figure = Figure(who, build, left, right)
    below = dressed_body(rng, figure)
    yaw, pitch, roll = variety * np.deg2rad([25, 15, 12]) * rng.uniform(-1.0, 1.0, 3)
    nod = rotation(yaw, pitch, roll)
    head = head_solids(rng, who)
    yaw, pitch, roll = variety * np.deg2rad([25 if close else 50, 6, 6]) * rng.uniform(-1.0, 1.0, 3)
    away = np.pi if rng.random() < 0.1 * variety and not close else 0.0
    turn = rotation(yaw + away, pitch, roll)
    at = turn @ (NECK - nod @ NECK)
    solids = [s.moved(turn @ nod, at) for s in head] + [s.moved(turn, np.zeros(3)) for s in below]
    return Person(tuple(solids), at)
