"""How garments lie on a figure: sleeves, trouser legs, skirts, socks and shoes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .build import capsule, vec
from .figure import Figure, foot_shape
from .skeleton import DEPTH, SHOULDER_Y, Build, Frame, Limbs
from .solids import MIRROR, Colour, Decal, Ellipse, Material, Solid


def sleeve(
    part: str, cloth: Material, build: Build, limbs: Limbs, reach: float, thicker: float
) -> list[Solid]:
    """A left sleeve; ``reach`` 1 ends at the elbow, 2 at the wrist."""
    upper = limbs.upper_arm, build.upper_arm, 0.31 * build.girth + thicker
    lower = limbs.lower_arm, build.lower_arm, 0.28 * build.girth + thicker
    return _along(part, cloth, (upper, lower), reach)


def trouser_leg(
    part: str, cloth: Material, build: Build, limbs: Limbs, reach: float, thicker: float
) -> list[Solid]:
    """A left trouser leg; ``reach`` 1 ends at the knee, 2 at the ankle."""
    upper = limbs.upper_leg, build.upper_leg, 0.52 * build.girth + thicker
    lower = limbs.lower_leg, build.lower_leg, 0.42 * build.girth + thicker
    return _along(part, cloth, (upper, lower), reach)


def _along(
    part: str, cloth: Material, bones: Sequence[tuple[Frame, float, float]], reach: float
) -> list[Solid]:
    """Tubes along bones (frame, length, radius), of which ``reach`` are covered."""
    return [
        capsule(part, cloth, bone.origin, bone.at(0.0, min(reach - i, 1.0) * length, 0.0), radius)
        for i, (bone, length, radius) in enumerate(bones)
        if reach > i
    ]


def skirt(
    part: str, cloth: Material, figure: Figure, length: float, flare: float, angles: Sequence[float]
) -> list[Solid]:
    """Pleats from the waist to a hem that follows the legs.

    Args:
        part: Name of the part.
        cloth: Its material.
        figure: Who wears it.
        length: From the hips to the hem.
        flare: How much wider the hem is than the hips.
        angles: Of the pleats around the body: 0 is the left, pi / 2 the back.
    """
    build = figure.build
    half, depth = build.hip + 0.4 * build.girth, 0.45 * build.girth
    waist = SHOULDER_Y + 0.85 * build.trunk
    pleats: list[Solid] = []
    for angle in angles:
        x, z = float(np.cos(angle)), float(np.sin(angle))
        start = vec(0.8 * half * x, waist, DEPTH + 0.8 * depth * z)
        hem = (half + flare) * x, length, (depth + flare) * z
        left = figure.left.upper_leg.at(hem[0] - build.hip, hem[1], hem[2])
        right = MIRROR @ figure.right.upper_leg.at(-hem[0] - build.hip, hem[1], hem[2])
        share = 0.5 + 0.5 * x
        end = share * left + (1.0 - share) * right
        pleats.append(capsule(part, cloth, start, end, 0.3 + 0.1 * flare))
    return pleats


def cut_out(solid: Solid, part: str, below: Material, hole: Ellipse) -> Solid:
    """A garment's chest or belly with a hole in front, which shows what is below: cloth or skin."""
    return replace(solid, decals=(*solid.decals, Decal(part, below, (hole,))))


def sock(cloth: Material, build: Build, limbs: Limbs, height: float) -> list[Solid]:
    """A left sock; ``height`` 1 ends at the knee."""
    part, leg = "Left_sock", limbs.lower_leg
    top = leg.at(0.0, (1.0 - height) * build.lower_leg, 0.0)
    radius = (0.3 + 0.12 * height) * build.girth
    shaft = capsule(part, cloth, top, limbs.foot.origin, radius + 0.04)
    return [shaft, *foot_shape(part, cloth, limbs, 0.05)]


def shoe(colour: Colour, sole: Colour, build: Build, limbs: Limbs, boot: bool) -> list[Solid]:
    """A left shoe with a sole; a boot covers the ankle."""
    part, upper = "Left_shoe", Material(colour, gloss=0.3)
    matt = Material(sole, gloss=0.05)
    bottom = limbs.foot.ellipsoid(part, matt, (0.03, 0.55, -0.3), (0.42, 0.14, 0.98))
    solids = [*foot_shape(part, upper, limbs, 0.1), bottom]
    if boot:
        top = limbs.lower_leg.at(0.0, 0.72 * build.lower_leg, 0.0)
        shaft = capsule(part, upper, top, limbs.foot.origin, 0.36 * build.girth + 0.06)
        solids.append(shaft)
    toe = upper.tinted((0.7, 0.7, 0.7))
    return [*solids, limbs.foot.ellipsoid(part, toe, (0.03, 0.42, -0.95), (0.34, 0.2, 0.33))]
