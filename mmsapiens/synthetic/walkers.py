"""Two people who walk past each other: a film of any length, with all that is known of a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .body import GAP
from .build import rotation, vec
from .clothes import dressed_body
from .face import Identity, sample_identity
from .figure import Figure
from .head import DISTANCE, head_solids
from .scene import Background, Light, Scene, sample_background, sample_light
from .skeleton import ArmAngles, Build, LegAngles, Limbs, place_limbs, sample_build
from .solids import Solid

VIEW_HEIGHT = 13.0
SPEED = 3.5  # world units a second; a person is about 10 high
STRIDES_HZ = 0.9
TURN = np.deg2rad(50)  # from the camera towards where they go


@dataclass(frozen=True, eq=False)
class Walkers:
    """Person 0 goes to the right; person 1 to the left, behind it. They meet after a while.

    Args:
        people: Their skin and hair, proportions and heads.
        seed: Of their clothes.
        light: What lights them.
        background: What is behind them.
        meet_s: When they are in the middle of the picture.
    """

    people: tuple[tuple[Identity, Build, list[Solid]], ...]
    seed: int
    light: Light
    background: Background
    meet_s: float

    def scene(self, time_s: float) -> Scene:
        """Returns the scene at a time; it moves by continuous functions of it."""
        solids: list[Solid] = []
        for index, direction in enumerate((1.0, -1.0)):
            x = direction * SPEED * (time_s - self.meet_s)
            at = vec(x, -0.35 * VIEW_HEIGHT, DISTANCE + GAP * index)
            solids += self._walker(index, time_s, direction, at)
        return Scene(tuple(solids), self.light, VIEW_HEIGHT, self.background)

    def _walker(self, index: int, time_s: float, direction: float, at: np.ndarray) -> list[Solid]:
        who, build, head = self.people[index]
        phase = 2 * np.pi * (STRIDES_HZ * time_s + 0.3 * index)
        figure = Figure(who, build, _limbs(build, phase), _limbs(build, phase + np.pi))
        rng = np.random.default_rng([self.seed, index])  # the same clothes in each frame
        turn, bob = rotation(yaw=-direction * TURN), vec(0.0, 0.1 * np.cos(2 * phase), 0.0)
        moved = (s.moved(turn, at + bob) for s in (*head, *dressed_body(rng, figure)))
        return [replace(s, person=index) for s in moved]


def sample_walkers(rng: np.random.Generator, meet_s: float = 2.0) -> Walkers:
    """Draws two people, their clothes and what is around them."""
    people = []
    for _ in range(2):
        who, build = sample_identity(rng), sample_build(rng)
        people.append((who, build, head_solids(rng, who)))
    light, background = sample_light(rng), sample_background(rng, 0.7 * VIEW_HEIGHT)
    return Walkers(tuple(people), int(rng.integers(2**31)), light, background, meet_s)


def _limbs(build: Build, phase: float) -> Limbs:
    """Those of one side: the arm swings against the leg, whose knee bends on its way forwards."""
    swing = float(np.sin(phase))
    arm = ArmAngles(0.2, -0.45 * swing, 0.3, 0.5 - 0.2 * swing, 0.3, 0.1, 0.4, 0.1)
    leg = LegAngles(0.05, 0.45 * swing, 0.05, 0.35 + 0.3 * float(np.cos(phase)), None)
    return place_limbs(build, arm, leg)
