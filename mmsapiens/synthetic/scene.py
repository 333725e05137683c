"""A scene: solids, a light, an orthographic camera and a background; all can be mirrored."""

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

    def mirrored(self) -> Light:
        """The light reflected at x = 0."""
        x, y, z = self.direction
        return replace(self, direction=(-x, y, z))


@dataclass(frozen=True)
class Camera:
    """An orthographic camera: the world's origin is the image's centre, and depth is z.

    Args:
        view_height: World units from the top to the bottom of the image.
    """

    view_height: float

    def unit(self, size_hw: tuple[int, int]) -> float:
        """World units per pixel."""
        return self.view_height / size_hw[0]

    def axes(self, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """World x (W,) of the columns' and y (H,) of the rows' centres, each symmetric about 0."""
        height, width = size_hw
        unit = self.unit(size_hw)
        x = (np.arange(width) - (width - 1) / 2) * unit
        y = (np.arange(height) - (height - 1) / 2) * unit
        return x, y

    def project(self, point: np.ndarray, size_hw: tuple[int, int]) -> tuple[float, float]:
        """Pixel (x, y) of a world point (3,); pixel centres are integers."""
        height, width = size_hw
        unit = self.unit(size_hw)
        return (width - 1) / 2 + point[0] / unit, (height - 1) / 2 + point[1] / unit


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

    def mirrored(self) -> Background:
        """The background reflected at x = 0."""
        blobs = (replace(b, centre=(-b.centre[0], b.centre[1])) for b in self.blobs)
        return replace(self, slope=(-self.slope[0], self.slope[1]), blobs=tuple(blobs))


def _between(axis: np.ndarray, centre: float, reach: float) -> slice:
    """The entries of a rising axis (N,) within ``reach`` of ``centre``."""
    first, last = np.searchsorted(axis, (centre - reach, centre + reach))
    return slice(int(first), int(last))


@dataclass(frozen=True, eq=False)
class Scene:
    """What :func:`render` draws. Of solids at equal depth the first one is seen."""

    solids: tuple[Solid, ...]
    light: Light
    camera: Camera
    background: Background

    def mirrored(self) -> Scene:
        """The scene reflected at x = 0, with left and right swapped: an oracle for every flip.

        Rendering it gives exactly the horizontally flipped rendering of this one.
        """
        return replace(
            self,
            solids=tuple(s.mirrored() for s in self.solids),
            light=self.light.mirrored(),
            background=self.background.mirrored(),
        )
