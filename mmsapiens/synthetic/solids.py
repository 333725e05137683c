"""Solids that a ray can be cast at analytically: ellipsoids and capsules, with paint on them.

World frame, in arbitrary units: x to the image's right, y down, z away from the camera. Each solid
has its own local frame, ``local = rotation^T (world - centre)``, in which paint and texture live.

Mirroring (x -> -x) negates ``centre[0]`` and the first row of ``rotation``. All sums below are
written out elementwise in a fixed order, so both factors of every product with x change sign
together: local coordinates, and all that follows from them, stay the same to the last bit. Per
pixel there are therefore no matrix products, and no functions whose vectorised and scalar versions
may round differently (sin, exp, power).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

Point = tuple[float, float, float]
Colour = tuple[float, float, float]
P = TypeVar("P", bound="Solid")

IDENTITY = np.eye(3)
MIRROR = np.diag([-1.0, 1.0, 1.0])


def tinted(colour: Colour, factor: Colour) -> Colour:
    """The colour times a factor per channel, at most 1."""
    r, g, b = (min(c * f, 1.0) for c, f in zip(colour, factor, strict=True))
    return r, g, b


def swapped_name(name: str) -> str:
    """``Left_ear`` -> ``Right_ear`` and back; other names are returned unchanged."""
    for side, other in (("Left_", "Right_"), ("Right_", "Left_")):
        if name.startswith(side):
            return other + name[len(side) :]
    return name


@dataclass(frozen=True, eq=False)
class Material:
    """What a surface looks like.

    Args:
        colour: RGB in [0, 1].
        gloss: Strength of the highlight, in [0, 1].
        wave: Cycles per unit along the local axes of a triangle wave (hair, cloth).
        wave_depth: How much the wave darkens, in [0, 1].
    """

    colour: Colour
    gloss: float = 0.0
    wave: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wave_depth: float = 0.0

    def tinted(self, factor: Colour) -> Material:
        """The material in its colour times a factor per channel."""
        return replace(self, colour=tinted(self.colour, factor))


@dataclass(frozen=True, eq=False)
class Ellipse:
    """An ellipse in the local x-y plane, projected onto the half of a solid that faces local -z."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    pointed: bool = False  # an almond: |v| in place of v^2 gives two corners

    def contains(self, local: np.ndarray) -> np.ndarray:
        """Says of each point, given by local coordinates (3, N), whether it lies inside."""
        u = (local[0] - self.centre[0]) / self.radii[0]
        v = (local[1] - self.centre[1]) / self.radii[1]
        return (u * u + (np.abs(v) if self.pointed else v * v) <= 1.0) & (local[2] < 0.0)


@dataclass(frozen=True, eq=False)
class Decal:
    """Paint on a solid: the part and the material of the points inside all of ``regions``."""

    part: str
    material: Material
    regions: tuple[Ellipse, ...]


@dataclass(frozen=True, eq=False)
class Solid:
    """What all solids have.

    Args:
        part: Name of the part it belongs to; ``Left_`` and ``Right_`` are the person's own sides.
        material: Its surface.
        centre: World position (3,).
        rotation: Local axes as columns (3, 3), orthonormal; improper in a mirrored scene.
        decals: Paint, later over earlier.
        keypoints: Name -> local position of points on the surface.
        joints: Name -> local position of points inside, which the solid itself does not hide.
        cover: Thickness of what is worn over the solid, which hides no points of it either.
        person: Index of the person it belongs to.
    """

    part: str
    material: Material
    centre: np.ndarray
    rotation: np.ndarray = field(default_factory=lambda: IDENTITY)
    decals: tuple[Decal, ...] = ()
    keypoints: Mapping[str, Point] = field(default_factory=dict)
    joints: Mapping[str, Point] = field(default_factory=dict)
    cover: float = 0.0
    person: int = 0

    def half_extent(self) -> np.ndarray:
        """Half the width and height (2,) of the bounding box around the centre."""
        raise NotImplementedError

    def _near_root(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """First t at which ``origin + t * direction`` (local) meets the surface; inf for a miss."""
        raise NotImplementedError

    def _local_normal(self, local: np.ndarray) -> np.ndarray:
        """Outward normals (3, N) of surface points, of any length, in local coordinates."""
        raise NotImplementedError

    def to_local(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> np.ndarray:
        """Local coordinates (3, ...) of world points, whose own are broadcast together."""
        dx, dy, dz = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        return np.stack([r[0] * dx + r[1] * dy + r[2] * dz for r in self.rotation.T])

    def to_world(self, local: Point) -> np.ndarray:
        """World position (3,) of one local point."""
        along = self.rotation * local
        return self.centre + (along[:, 0] + along[:, 1] + along[:, 2])

    def cast(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """World z at which rays along +z through (x, y) first meet the solid; inf for a miss."""
        plane = self.to_local(x, y, self.centre[2])
        return self.centre[2] + self._near_root(plane, self.rotation[2])

    def normal(self, local: np.ndarray) -> np.ndarray:
        """Unit outward normals (3, N), in world coordinates, of surface points in local ones."""
        u, v, w = self._local_normal(local)
        scale = 1.0 / np.sqrt(u * u + v * v + w * w)
        u, v, w = u * scale, v * scale, w * scale
        return np.stack([r[0] * u + r[1] * v + r[2] * w for r in self.rotation])

    def moved(self: P, rotation: np.ndarray, translation: np.ndarray) -> P:
        """The solid after ``world -> rotation @ world + translation``."""
        centre = rotation @ self.centre + translation
        return replace(self, centre=centre, rotation=rotation @ self.rotation)

    def mirrored(self: P) -> P:
        """The solid reflected at x = 0, with left and right names swapped."""
        return replace(
            self,
            part=swapped_name(self.part),
            centre=MIRROR @ self.centre,
            rotation=MIRROR @ self.rotation,
            decals=tuple(replace(d, part=swapped_name(d.part)) for d in self.decals),
            keypoints={swapped_name(k): v for k, v in self.keypoints.items()},
            joints={swapped_name(k): v for k, v in self.joints.items()},
        )


@dataclass(frozen=True, eq=False)
class Ellipsoid(Solid):
    """An ellipsoid with ``radii`` along its local axes."""

    radii: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def half_extent(self) -> np.ndarray:
        """See base class."""
        return np.sqrt(np.sum((self.rotation[:2] * self.radii) ** 2, axis=1))

    def _near_root(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        u, v, w = (o / r for o, r in zip(origin, self.radii, strict=True))
        du, dv, dw = direction / self.radii
        a = du * du + dv * dv + dw * dw
        b = u * du + v * dv + w * dw
        return _smaller_root(a, b, u * u + v * v + w * w - 1.0)

    def _local_normal(self, local: np.ndarray) -> np.ndarray:
        return local / np.square(self.radii)[:, None]


@dataclass(frozen=True, eq=False)
class Capsule(Solid):
    """All points within ``radius`` of a segment of length ``2 * half_length`` along local y."""

    half_length: float = 1.0
    radius: float = 1.0

    def half_extent(self) -> np.ndarray:
        """See base class."""
        return np.abs(self.rotation[:2, 1]) * self.half_length + self.radius

    def _near_root(self, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """The entry is the nearest of those into the two balls and the cylinder."""
        (u, v, w), (du, dv, dw) = origin, direction
        across = u * du + w * dw
        square = u * u + w * w - self.radius * self.radius
        nearest = np.full_like(square, np.inf)
        for end in (-self.half_length, self.half_length):
            from_end = v - end
            ball = _smaller_root(1.0, across + from_end * dv, square + from_end * from_end)
            nearest = np.minimum(nearest, ball)
        a = du * du + dw * dw
        if a > 1e-12:  # else the ray runs along the axis and enters by a ball
            t = _smaller_root(a, across, square)
            on_side = np.abs(v + np.where(np.isfinite(t), t, 0.0) * dv) <= self.half_length
            nearest = np.where(on_side, np.minimum(nearest, t), nearest)
        return nearest

    def _local_normal(self, local: np.ndarray) -> np.ndarray:
        u, v, w = local
        return np.stack([u, v - np.clip(v, -self.half_length, self.half_length), w])


def _smaller_root(a: float, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Smaller root of a t^2 + 2 b t + c = 0; inf where it has none."""
    discriminant = b * b - a * c
    root = (-b - np.sqrt(np.maximum(discriminant, 0.0))) / a
    return np.where(discriminant < 0.0, np.inf, root)
