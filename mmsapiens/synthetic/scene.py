"""A scene: solids, a light, an orthographic view and a background, the latter drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .solids import Colour, Solid


@dataclass(frozen=True, eq=False)
class Light:
    """A distant light.

    Args:
        direction: Unit vector (3,) from the scene towards the light.
        colour: RGB factor of the directed light.
        ambient: RGB factor of the light from everywhere.
    """

    direction: tuple[float, float, float]
    colour: Colour
    ambient: Colour


@dataclass(frozen=True)
class Blob:
    """A spot of colour in the background, in world units; ``soft`` fades it out to its rim."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    colour: Colour
    soft: bool


@dataclass(frozen=True)
class Background:
    """A linear blend between two colours, with blobs on it, later over earlier.

    Args:
        colours: RGB at the two ends of the blend.
        slope: Change of the blend, which is 0.5 at the centre, per world unit in x and y.
        blobs: Spots on it.
    """

    colours: tuple[Colour, Colour]
    slope: tuple[float, float]
    blobs: tuple[Blob, ...] = ()

    def paint(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """RGB (H, W, 3) at the world coordinates x (W,) and y (H,)."""
        blend = 0.5 + (x[None, :] * self.slope[0] + y[:, None] * self.slope[1])
        blend = np.clip(blend, 0.0, 1.0)[..., None]
        first, second = (np.asarray(c) for c in self.colours)
        rgb = first + (second - first) * blend
        for blob in self.blobs:
            rows = _between(y, blob.centre[1], blob.radii[1])
            cols = _between(x, blob.centre[0], blob.radii[0])
            u = (x[None, cols] - blob.centre[0]) / blob.radii[0]
            v = (y[rows, None] - blob.centre[1]) / blob.radii[1]
            inside = np.maximum(1.0 - (u * u + v * v), 0.0)[..., None]
            opacity = inside if blob.soft else inside > 0.0
            rgb[rows, cols] += (np.asarray(blob.colour) - rgb[rows, cols]) * opacity
        return rgb


def _between(axis: np.ndarray, centre: float, reach: float) -> slice:
    """The entries of a rising axis (N,) within ``reach`` of ``centre``."""
    first, last = np.searchsorted(axis, (centre - reach, centre + reach))
    return slice(int(first), int(last))


@dataclass(frozen=True, eq=False)
class Scene:
    """What :func:`render` draws, as seen by an orthographic camera.

    The world's origin is the image's centre, and depth is z. Of solids at equal depth the first one
    is seen.

    Args:
        solids: What there is to see.
        light: What lights them.
        view_height: World units from the top to the bottom of the image.
        background: What is behind them.
    """

    solids: tuple[Solid, ...]
    light: Light
    view_height: float
    background: Background

    def unit(self, size_hw: tuple[int, int]) -> float:
        """World units per pixel."""
        return self.view_height / size_hw[0]

    def axes(self, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """World x (W,) of the columns' and y (H,) of the rows' centres, each symmetric about 0."""
        unit = self.unit(size_hw)
        y, x = ((np.arange(length) - (length - 1) / 2) * unit for length in size_hw)
        return x, y

    def project(self, point: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
        """Pixel (x, y) of a world point (3,); pixel centres are integers."""
        return (np.array(size_hw[::-1]) - 1) / 2 + point[:2] / self.unit(size_hw)

    def mirrored(self) -> Scene:
        """The scene reflected at x = 0, with left and right swapped: an oracle for every flip.

        Rendering it gives exactly the horizontally flipped rendering of this one.
        """
        (x, y, z), (slope_x, slope_y) = self.light.direction, self.background.slope
        blobs = (replace(b, centre=(-b.centre[0], b.centre[1])) for b in self.background.blobs)
        return replace(
            self,
            solids=tuple(s.mirrored() for s in self.solids),
            light=replace(self.light, direction=(-x, y, z)),
            background=replace(self.background, slope=(-slope_x, slope_y), blobs=tuple(blobs)),
        )


def sample_light(rng: np.random.Generator) -> Light:
    """Draws a light from the front, mostly from above, of some warmth."""
    direction = np.array([rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.3), -1.0])
    x, y, z = (direction / np.linalg.norm(direction)).tolist()
    warmth = rng.uniform(-0.08, 0.08)
    gain = rng.uniform(0.7, 0.95)
    ambient = rng.uniform(0.1, 0.3)
    return Light((x, y, z), (gain * (1 + warmth), gain, gain * (1 - warmth)), (ambient,) * 3)


def sample_background(rng: np.random.Generator, reach: float = 2.2) -> Background:
    """Draws a blend with up to eight spots in the square of half-width ``reach``."""

    def colour() -> Colour:
        red, green, blue = rng.uniform(0.05, 0.95, 3).tolist()
        return red, green, blue

    blobs = []
    for _ in range(rng.integers(0, 9)):
        x, y = rng.uniform(-reach, reach, 2)
        a, b = reach * rng.uniform(0.07, 0.5, 2)
        blobs.append(Blob((x, y), (a, b), colour(), soft=bool(rng.random() < 0.5)))
    slope_x, slope_y = rng.uniform(-0.66, 0.66, 2) / reach
    return Background((colour(), colour()), (slope_x, slope_y), tuple(blobs))
