"""Helpers to put solids together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import numpy as np

from .solids import IDENTITY, Capsule, Ellipsoid, Material, Point, Solid

P = TypeVar("P", bound=Solid)


def vec(x: float, y: float, z: float) -> np.ndarray:
    """A position (3,)."""
    return np.array([x, y, z])


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Rotation matrix (3, 3) for angles in radians: roll (z) after yaw (y) after pitch (x).

    A head that looks at the camera (-z) turns to the image's right with yaw < 0, looks up
    with pitch < 0, and leans to the image's right with roll > 0.
    """
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def capsule(
    part: str, material: Material, start: np.ndarray, end: np.ndarray, radius: float
) -> Capsule:
    """A capsule from ``start`` to ``end``, both world positions (3,); local y runs along it."""
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    # Any axis across will do; start from the world axis that is least parallel to it.
    across = _cross(along, np.eye(3)[np.argmin(np.abs(along))])
    across /= np.linalg.norm(across)
    axes = np.stack([across, along, _cross(across, along)], axis=1)
    return Capsule(part, material, (start + end) / 2, axes, half_length=length / 2, radius=radius)


def ellipsoid(
    part: str, material: Material, centre: np.ndarray, radii: Point, axes: np.ndarray = IDENTITY
) -> Ellipsoid:
    """A plain ellipsoid around ``centre`` (3,) with ``radii`` along the columns of ``axes``."""
    return Ellipsoid(part, material, centre, axes, radii=radii)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product of two vectors (3,), at a tenth of the cost of NumPy's for arrays."""
    return vec(a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def tube(part: str, material: Material, points: Sequence[np.ndarray], radius: float) -> list[Solid]:
    """Capsules along a line of world positions (3,)."""
    return [capsule(part, material, a, b, radius) for a, b in pairwise(points)]


def surface_point(solids: Sequence[Solid], x: float, y: float, lift: float = 0.0) -> np.ndarray:
    """The point (3,) of the solids' front at world (x, y), lifted ``lift`` towards the camera.

    Raises:
        ValueError: No solid lies at (x, y).
    """
    z = min(float(s.cast(x, y)) for s in solids)
    if not np.isfinite(z):
        raise ValueError(f"No solid at x={x}, y={y}: place the feature inside the outline.")
    return np.array([x, y, z - lift])


def marked(solid: P, points: Mapping[str, np.ndarray]) -> P:
    """The solid with keypoints on its surface at world positions (3,)."""
    return replace(solid, keypoints={**solid.keypoints, **_to_local(solid, points)})


def jointed(solid: P, points: Mapping[str, np.ndarray], cover: float) -> P:
    """The solid with keypoints inside it, at world positions (3,), under ``cover`` of clothes."""
    return replace(solid, joints={**solid.joints, **_to_local(solid, points)}, cover=cover)


def _to_local(solid: Solid, points: Mapping[str, np.ndarray]) -> dict[str, Point]:
    return {name: tuple(solid.to_local(*point).tolist()) for name, point in points.items()}


def both_sides(solids: Sequence[Solid]) -> list[Solid]:
    """The solids and their mirror images, in turn the person's left and right."""
    return [*solids, *(s.mirrored() for s in solids)]
