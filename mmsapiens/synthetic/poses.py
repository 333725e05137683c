"""Random natural poses: what arms and legs do, in degrees, as in ``skeleton.py``.

The first pose of each table is that of a person who stands still.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from .skeleton import ArmAngles, LegAngles

Span = tuple[float, float]
T = TypeVar("T")

# abduct, flex, twist, elbow, roll, wrist
ARM_POSES: dict[str, tuple[Span, ...]] = {
    "hang": ((8, 22), (-12, 18), (-10, 40), (4, 35), (-10, 80), (-10, 20)),
    "hip": ((38, 55), (-15, 5), (75, 95), (85, 110), (-10, 30), (-10, 20)),
    "forward": ((0, 30), (50, 95), (-20, 30), (5, 60), (0, 90), (-20, 10)),
    "belly": ((10, 30), (10, 35), (40, 75), (70, 105), (-20, 30), (-10, 25)),
    "side": ((60, 115), (-10, 25), (-30, 10), (5, 40), (20, 90), (-10, 20)),
    "wave": ((60, 100), (0, 20), (-100, -70), (60, 115), (-20, 30), (-15, 15)),
    "up": ((135, 168), (-5, 15), (-30, 30), (5, 60), (-30, 60), (-10, 15)),
}
ARM_SHARES = {"hang": 5, "hip": 2, "forward": 1.5, "belly": 1.5, "side": 2, "wave": 2, "up": 1}

# abduct, flex, twist, knee
LEG_POSES: dict[str, tuple[Span, ...]] = {
    "stand": ((2, 9), (-4, 6), (0, 20), (0, 8)),
    "wide": ((14, 28), (-4, 8), (5, 30), (0, 10)),
    "ahead": ((2, 8), (18, 38), (0, 10), (4, 20)),
    "behind": ((2, 8), (-28, -12), (0, 15), (10, 45)),
    "lift": ((3, 15), (50, 90), (0, 20), (70, 115)),
    "sit": ((6, 22), (72, 92), (0, 15), (70, 100)),
}
# The left and the right leg of a posture.
POSTURES = {
    ("stand", "stand"): 4,
    ("wide", "wide"): 2,
    ("wide", "stand"): 1.5,
    ("ahead", "behind"): 2,
    ("behind", "ahead"): 2,
    ("lift", "stand"): 0.75,
    ("stand", "lift"): 0.75,
    ("sit", "sit"): 1.5,
}


def sample_arm(rng: np.random.Generator, variety: float = 1.0) -> ArmAngles:
    """Draws the angles of an arm and its hand; ``variety`` is that of ``sample_person``."""
    pose = ARM_POSES[pick(rng, ARM_SHARES, variety)]
    arm = _angles(rng, pose, variety)
    fingers = ((5, 55) if rng.random() < 0.6 else (2, 12), (2, 12))
    return ArmAngles(*arm, *_angles(rng, fingers, variety))


def sample_legs(rng: np.random.Generator, variety: float = 1.0) -> tuple[LegAngles, LegAngles]:
    """Draws the angles of the left and the right leg; ``variety`` is that of ``sample_person``."""
    left, right = (_leg(rng, name, variety) for name in pick(rng, POSTURES, variety))
    return left, right


def spread(rng: np.random.Generator, span: Span, variety: float) -> float:
    """Draws from the middle part of a range: all of it if ``variety`` is 1, its centre if 0."""
    low, high = span
    return 0.5 * (low + high) + variety * (float(rng.uniform(low, high)) - 0.5 * (low + high))


def _leg(rng: np.random.Generator, name: str, variety: float) -> LegAngles:
    abduct, flex, twist, knee = _angles(rng, LEG_POSES[name], variety)
    off_ground = name in ("behind", "lift")
    point = float(np.deg2rad(rng.uniform(5, 35))) if off_ground else None
    return LegAngles(abduct, flex, twist, knee, point)


def pick(rng: np.random.Generator, shares: Mapping[T, float], variety: float = 1.0) -> T:
    """Draws a key by its share, which ``variety`` lowers for all but the first."""
    weights = np.array(list(shares.values()), dtype=float)
    weights[1:] *= variety
    return list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def _angles(rng: np.random.Generator, spans: tuple[Span, ...], variety: float) -> list[float]:
    return [float(np.deg2rad(spread(rng, span, variety))) for span in spans]
