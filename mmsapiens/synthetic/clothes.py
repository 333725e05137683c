"""What a figure wears, by chance: an upper and a lower garment, something on its feet, and more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .build import ellipsoid, tube, vec
from .face import BLACK, jittered
from .figure import Figure, body, pelvis, trunk
from .garments import cut_out, shoe, skirt, sleeve, sock, trouser_leg
from .poses import pick
from .skeleton import DEPTH, SHOULDER_Y
from .solids import Colour, Ellipse, Material, Solid
from .worn import CLOTH_COLOURS

UPPER_SHARES = {
    "bare": 0.1, "crop": 0.1, "tank": 0.12, "shirt": 0.26, "coat": 0.16, "dress": 0.14,
    "jumpsuit": 0.12,
}  # fmt: skip
LOWER_SHARES = {"trousers": 0.4, "shorts": 0.35, "skirt": 0.25}
FEET_SHARES = {"bare": 0.3, "shoes": 0.25, "socks": 0.2, "both": 0.25}
AROUND = tuple(np.arange(16) * np.pi / 8)
# Open in front, at 3 pi / 2.
BACK_AND_SIDES = tuple(a for a in AROUND if abs(a - 1.5 * np.pi) > 0.9)


def cloth(rng: np.random.Generator, colours: Sequence[Colour] = CLOTH_COLOURS) -> Material:
    """Of one of the colours, plain or with stripes along, across or aslant."""
    wave = (0.0, 0.0, 0.0)
    if rng.random() < 0.4:
        along = rng.integers(3)
        wide = rng.uniform(1.5, 4.0)
        wave = ((0.0, wide, 0.0), (wide, 0.0, 0.0), (wide, wide, 0.0))[along]
    return Material(jittered(rng, colours), 0.03, wave=wave, wave_depth=0.35)


def dressed_body(rng: np.random.Generator, figure: Figure) -> list[Solid]:
    """Everything below the head, in garments of kinds drawn from the tables above."""
    upper, lower, feet = (pick(rng, s) for s in (UPPER_SHARES, LOWER_SHARES, FEET_SHARES))
    glove = cloth(rng) if rng.random() < 0.2 else None
    solids = body(figure, glove, toes=feet == "bare")
    # Garments of the same colour would hide where one ends and the other begins.
    above, below = (CLOTH_COLOURS[i] for i in rng.permutation(len(CLOTH_COLOURS))[:2])
    solids += _upper(rng, figure, upper, cloth(rng, [above]))
    if upper not in ("dress", "jumpsuit"):
        solids += _lower(rng, figure, lower, cloth(rng, [below]))
    solids += _feet(rng, figure, feet)
    if rng.random() < 0.2:
        solids += scarf(cloth(rng), figure)
    if rng.random() < 0.2:
        solids += bag(rng, figure)
    return solids


def _upper(rng: np.random.Generator, figure: Figure, kind: str, material: Material) -> list[Solid]:
    if kind == "bare":
        return []
    build = figure.build
    short, low = rng.uniform(0.45, 0.8), rng.uniform(0.5, 0.95)
    reach = rng.uniform(1.75, 1.95) if rng.random() < 0.5 else short
    if kind == "coat":
        return _coat(rng, figure, material)
    part = {"dress": "Dress", "jumpsuit": "Jumpsuit"}.get(kind, "Shirt")
    chest, belly, *shoulders = trunk(part, material, build, thicker=0.07)
    neckline = Ellipse((0.0, -1.35), (rng.uniform(0.35, 0.6), low))
    solids = [cut_out(chest, "Torso", figure.who.skin, neckline), *shoulders]
    if kind != "crop":
        solids.append(belly)
    if kind in ("crop", "tank") or (kind == "dress" and rng.random() < 0.5):
        reach = 0.1
    solids += figure.sides(lambda limbs: sleeve(part, material, build, limbs, reach, 0.07))
    if kind == "shirt" and rng.random() < 0.5:  # worn over the trousers
        solids.append(pelvis(part, material, build, thicker=0.14))
    if kind == "dress":
        solids.append(pelvis(part, material, build, thicker=0.05))
        solids += skirt(part, material, figure, *_cut(rng), AROUND)
    if kind == "jumpsuit":
        solids += _trousers(part, material, figure, rng.uniform(1.6, 1.95))
    return solids


def _coat(rng: np.random.Generator, figure: Figure, material: Material) -> list[Solid]:
    """A coat that is open over a shirt."""
    shirt, width, build = cloth(rng), rng.uniform(0.15, 0.4), figure.build
    chest, belly, *shoulders = trunk("Coat", material, build, thicker=0.16)
    hips = pelvis("Coat", material, build, thicker=0.16)
    gap = Ellipse((0.0, 0.0), (width, 3.0))
    front = [cut_out(solid, "Shirt", shirt, gap) for solid in (chest, belly)]
    reach, length = rng.uniform(1.75, 1.95), rng.uniform(0.5, 1.8)
    return [
        *front,
        *shoulders,
        hips,
        *figure.sides(lambda limbs: sleeve("Coat", material, build, limbs, reach, 0.14)),
        *skirt("Coat", material, figure, length, 0.15, BACK_AND_SIDES),
    ]


def _lower(rng: np.random.Generator, figure: Figure, kind: str, material: Material) -> list[Solid]:
    if kind == "skirt":
        hips = pelvis("Skirt", material, figure.build, thicker=0.08)
        return [hips, *skirt("Skirt", material, figure, *_cut(rng), AROUND)]
    reach = rng.uniform(1.45, 1.95) if kind == "trousers" else rng.uniform(0.4, 0.85)
    return _trousers("Pants", material, figure, reach)


def _trousers(part: str, material: Material, figure: Figure, reach: float) -> list[Solid]:
    legs = figure.sides(lambda limbs: trouser_leg(part, material, figure.build, limbs, reach, 0.06))
    return [pelvis(part, material, figure.build, thicker=0.09), *legs]


def _cut(rng: np.random.Generator) -> tuple[float, float]:
    """Length and flare of a skirt."""
    return rng.uniform(1.2, 3.2), rng.uniform(0.0, 0.45)


def _feet(rng: np.random.Generator, figure: Figure, kind: str) -> list[Solid]:
    solids: list[Solid] = []
    if kind in ("socks", "both"):
        knit, height = cloth(rng), rng.uniform(0.3, 0.85)
        solids += figure.sides(lambda limbs: sock(knit, figure.build, limbs, height))
    if kind in ("shoes", "both"):
        colour, sole = jittered(rng, CLOTH_COLOURS), jittered(rng, (BLACK, (0.9, 0.9, 0.88)))
        boot = kind == "shoes" and rng.random() < 0.3
        solids += figure.sides(lambda limbs: shoe(colour, sole, figure.build, limbs, boot))
    return solids


def scarf(knit: Material, figure: Figure) -> list[Solid]:
    """A roll around the neck and an end that hangs down in front."""
    ring = [
        vec(0.58 * np.cos(a), SHOULDER_Y - 0.35 + 0.06 * np.cos(2 * a), DEPTH + 0.52 * np.sin(a))
        for a in np.linspace(0.0, 2.0 * np.pi, 13)
    ]
    front = DEPTH - 0.72 * figure.build.girth - 0.2
    end = [vec(0.3, SHOULDER_Y - 0.2, -0.3), vec(0.36, SHOULDER_Y + 1.4, front)]
    return [*tube("Scarf", knit, ring, 0.27), *tube("Scarf", knit, end, 0.23)]


def bag(rng: np.random.Generator, figure: Figure) -> list[Solid]:
    """A bag at one hip, with a strap across the chest and the back to the other shoulder."""
    build, leather = figure.build, Material(jittered(rng, CLOTH_COLOURS), gloss=0.25)
    deep, hip = 0.72 * build.girth + 0.2, SHOULDER_Y + build.trunk
    aside = build.hip + 0.75 * build.girth
    top = vec(-0.6 * build.shoulder, SHOULDER_Y - 0.55, DEPTH)
    lines = []
    for side in (-deep, deep):
        chest = vec(-0.2, SHOULDER_Y + 0.8, DEPTH + side)
        belly = vec(0.55 * aside, hip - 0.75, DEPTH + 0.9 * side)
        lines.append([top, chest, belly, vec(aside, hip - 0.2, DEPTH)])
    pouch = ellipsoid("Bag", leather, vec(aside + 0.1, hip + 0.2, DEPTH), (0.35, 0.6, 0.62))
    solids = [pouch, *(s for line in lines for s in tube("Bag", leather, line, 0.09))]
    return [s.mirrored() for s in solids] if rng.random() < 0.5 else solids
