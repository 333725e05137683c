"""Draws a random head, alone or with neck and shoulders, its pose, light and surroundings."""

from __future__ import annotations

import numpy as np

from .build import both_sides, capsule, ellipsoid, rotation, vec
from .face import Identity, brows, ears, eyes, jittered, mouth, nose, sample_identity, skull
from .scene import Scene, sample_background, sample_light
from .solids import IDENTITY, Material, Solid
from .worn import CLOTH_COLOURS, beard, facewear, glasses, hair, headwear

DISTANCE = 8.0  # from the plane of the camera to the head
NECK = vec(0.0, 0.8, 0.2)  # the head turns about this point


def sample_head(rng: np.random.Generator) -> Scene:
    """Draws a scene with one head; all 19 classes of FaceSynthetics occur over many of them.

    The head turns by up to 35 degrees, nods and leans by up to 15, and is seen from the chest up.
    """
    who = sample_identity(rng)
    yaw, pitch, roll = np.deg2rad([35, 15, 15]) * rng.uniform(-1.0, 1.0, 3)
    turn = rotation(yaw, pitch, roll)
    head = [s.moved(turn, NECK - turn @ NECK) for s in head_solids(rng, who)]
    place = vec(rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.1), DISTANCE)
    lean = rotation(0.5 * yaw, 0.0, 0.3 * roll)
    bust = [s.moved(lean, NECK - lean @ NECK) for s in _bust(rng, who)]
    solids = tuple(s.moved(IDENTITY, place) for s in [*head, *bust])
    return Scene(solids, sample_light(rng), rng.uniform(2.8, 3.5), sample_background(rng))


def head_solids(rng: np.random.Generator, who: Identity) -> list[Solid]:
    """A head that looks at the camera, with what it wears; it turns about ``NECK``."""
    face = skull(rng, who)
    hat = rng.random() < 0.35
    solids = [*ears(rng, who), *eyes(rng, who, face), *brows(rng, who, face), *nose(rng, who, face)]
    bearded = beard(rng, who, face) if rng.random() < 0.4 else []
    solids += [*bearded, *mouth(rng, who, [*face, *bearded]), *hair(rng, who, under_hat=hat)]
    if hat:
        solids += headwear(rng, who)
    if rng.random() < 0.4:
        solids += glasses(rng, who, face)
    if rng.random() < 0.25:
        solids += facewear(rng, who)
    return [*face, *solids]


def _bust(rng: np.random.Generator, who: Identity) -> list[Solid]:
    """Neck, chest and shoulders."""
    stripes = rng.random() < 0.4
    colour, wave = jittered(rng, CLOTH_COLOURS), (0.0, rng.uniform(1.5, 4.0), 0.0)
    cloth = Material(colour, 0.03, wave, wave_depth=0.35 * stripes)
    wide = rng.uniform(1.15, 1.5)
    chest = ellipsoid("Clothing", cloth, vec(0.0, 2.4, 0.3), (wide, 1.2, 0.75))
    arm = capsule("Clothing", cloth, vec(wide * 0.6, 1.85, 0.3), vec(wide, 2.2, 0.3), 0.5)
    radius = rng.uniform(0.38, 0.48) * who.width
    neck = capsule("Neck", who.skin, vec(0.0, 0.6, 0.25), vec(0.0, 1.9, 0.25), radius)
    return [neck, chest, *both_sides([arm])]
