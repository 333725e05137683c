"""Random light and background of a scene."""

from __future__ import annotations

import numpy as np

from .build import vec
from .scene import Background, Blob, Light


def sample_light(rng: np.random.Generator) -> Light:
    """Draws a light from the front, mostly from above, of some warmth."""
    direction = vec(rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.3), -1.0)
    direction /= np.linalg.norm(direction)
    x, y, z = (float(c) for c in direction)
    warmth = rng.uniform(-0.08, 0.08)
    gain = rng.uniform(0.7, 0.95)
    ambient = rng.uniform(0.1, 0.3)
    return Light((x, y, z), (gain * (1 + warmth), gain, gain * (1 - warmth)), (ambient,) * 3)


def sample_background(rng: np.random.Generator, reach: float = 2.2) -> Background:
    """Draws a blend with up to eight spots in the square of half-width ``reach``."""

    def colour() -> tuple[float, float, float]:
        r, g, b = (float(c) for c in rng.uniform(0.05, 0.95, 3))
        return r, g, b

    blobs = []
    for _ in range(rng.integers(0, 9)):
        x, y = rng.uniform(-reach, reach, 2)
        a, b = reach * rng.uniform(0.07, 0.5, 2)
        blobs.append(Blob((x, y), (a, b), colour(), soft=bool(rng.random() < 0.5)))
    slope_x, slope_y = rng.uniform(-0.66, 0.66, 2) / reach
    return Background((colour(), colour()), (slope_x, slope_y), tuple(blobs))
