"""What a head wears, in the frame of ``face.py``: hair, beard, glasses, headwear and facewear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .build import both_sides, ellipsoid, rotation, surface_point, tube, vec
from .face import BLACK, Identity, jittered
from .poses import pick
from .solids import Colour, Ellipsoid, Material, Point, Solid

HAIR_SHARES = {"none": 0.08, "short": 0.3, "fringe": 0.22, "long": 0.25, "volume": 0.15}
CLOTH_COLOURS: tuple[Colour, ...] = (
    (0.75, 0.12, 0.15),
    (0.12, 0.25, 0.62),
    (0.10, 0.45, 0.28),
    (0.85, 0.65, 0.12),
    (0.45, 0.20, 0.55),
    (0.20, 0.20, 0.22),
    (0.88, 0.88, 0.86),
    (0.15, 0.55, 0.62),
)
MASK_COLOURS: tuple[Colour, ...] = (
    (0.62, 0.80, 0.90),
    (0.92, 0.94, 0.95),
    (0.16, 0.17, 0.20),
    (0.72, 0.88, 0.78),
)


def hair(rng: np.random.Generator, who: Identity, under_hat: bool) -> list[Solid]:
    """One of: none, short, fringe, long, voluminous. Where it meets the skull is the hairline."""
    style = pick(rng, HAIR_SHARES)
    if style == "none":
        return []
    width = who.width
    volume = rng.uniform(0.15, 0.4) if style == "volume" and not under_hat else 0.0
    back = rng.uniform(0.12, 0.22)
    top = vec(0.0, -0.36 - 0.5 * volume, 0.12 + back + 0.75 * volume)
    radii = (0.82 * width + volume, 0.84 + volume, 0.93 + volume)
    solids: list[Solid] = [ellipsoid("Hair", who.hair, top, radii)]
    fringe = style == "fringe" or (style == "long" and rng.random() < 0.5)
    if fringe and not under_hat:
        side = rng.choice([-1.0, 1.0])
        for x, size in ((0.3 * side, 0.5), (-0.38 * side, 0.34)):
            at, lean = vec(x * width, -0.72, -0.42), rotation(roll=0.45 * np.sign(x))
            solids.append(ellipsoid("Hair", who.hair, at, (size, 0.24, 0.36), lean))
    if style == "long":
        end = rng.uniform(0.7, 1.5)
        lock = [vec(0.72 * width, -0.35, 0.22), vec(0.86 * width, 0.3, 0.3)]
        lock.append(vec(0.8 * width, end, 0.32))
        solids += both_sides(tube("Hair", who.hair, lock, rng.uniform(0.16, 0.22)))
        solids.append(ellipsoid("Hair", who.hair, vec(0.0, 0.3, 0.62), (0.85 * width, end, 0.4)))
    return solids


def beard(rng: np.random.Generator, who: Identity, face: Sequence[Solid]) -> list[Solid]:
    """A full beard around the jaw or one on the chin, and perhaps a moustache."""
    if rng.random() < 0.65:
        radii = (0.64 * who.width, rng.uniform(0.76, 0.9), 0.74)
        solids: list[Solid] = [ellipsoid("Beard", who.hair, vec(0.0, 0.5, -0.04), radii)]
    else:
        solids = [ellipsoid("Beard", who.hair, vec(0.0, 1.02, -0.5), (0.3, 0.26, 0.24))]
    if rng.random() < 0.7:
        points = [
            surface_point(face, x, 0.54 + 0.5 * x * x, lift=0.03) for x in (-0.27, -0.1, 0.1, 0.27)
        ]
        solids += tube("Beard", who.hair, points, 0.055)
    return solids


def glasses(rng: np.random.Generator, who: Identity, face: Sequence[Solid]) -> list[Solid]:
    """Rims, a bridge and temples; sunglasses have dark lenses, other lenses are not drawn."""
    frame = Material(BLACK if rng.random() < 0.7 else (0.35, 0.05, 0.05), gloss=0.5)
    x, y = 0.335 * who.width, 0.02
    a, b, square = rng.uniform(0.25, 0.28), rng.uniform(0.19, 0.24), rng.uniform(1.0, 1.2)
    z = float(surface_point(face, x, y, lift=0.24)[2])
    turn = rotation(yaw=-0.12)
    angles = np.linspace(0.0, 2.0 * np.pi, 15)
    # Clipping a wider oval squares its sides.
    oval = np.stack(
        [np.cos(angles) * a, np.clip(np.sin(angles) * square, -1, 1) * b, 0 * angles], axis=1
    )
    rim = [turn @ point + vec(x, y, z) for point in oval]
    hinge, ear = rim[0], vec(0.86 * who.width, -0.02, 0.1)
    radius = rng.uniform(0.028, 0.042)
    solids = both_sides(
        tube("Glasses", frame, rim, radius) + tube("Glasses", frame, [hinge, ear], radius)
    )
    inner = rim[7]
    bridge = [inner, vec(0.0, inner[1] - 0.03, inner[2] - 0.04), inner * [-1.0, 1.0, 1.0]]
    solids += tube("Glasses", frame, bridge, radius)
    if rng.random() < 0.35:
        dark = Material((0.07, 0.07, 0.09), gloss=0.7)
        solids += both_sides([ellipsoid("Glasses", dark, vec(x, y, z), (a, b, 0.03), turn)])
    return solids


def headwear(rng: np.random.Generator, who: Identity) -> list[Solid]:
    """A cap with a visor, a beanie with a turned-up band, or a hat with a brim."""
    style = rng.choice(["cap", "beanie", "hat"])
    wave = (0.0, 6.0, 0.0) if style == "beanie" else (0.0, 0.0, 0.0)
    cloth = Material(jittered(rng, CLOTH_COLOURS), 0.05, wave, wave_depth=0.3)
    trim = replace(cloth, colour=jittered(rng, CLOTH_COLOURS))
    width = 0.9 * who.width

    def piece(
        material: Material, y: float, z: float, radii: Point, pitch: float = -0.15
    ) -> Ellipsoid:
        return ellipsoid("Headwear", material, vec(0.0, y, z), radii, rotation(pitch=pitch))

    crown = piece(cloth, -0.62, 0.16, (width, 0.72, 1.05))
    if style == "cap":
        visor = piece(trim, -0.58, -0.9, (0.64, 0.06, 0.75), pitch=0.2)
        return [crown, visor]
    if style == "hat":
        brim = piece(cloth, -0.66, 0.1, (1.4, 0.08, 1.45), pitch=0.08)
        ribbon = piece(trim, -0.74, 0.14, (width + 0.02, 0.2, 1.08))
        return [crown, ribbon, brim]
    band = piece(trim, -0.6, 0.14, (width + 0.08, 0.26, 1.12))
    bobble = piece(trim, -1.4, 0.16, (0.2, 0.2, 0.2), pitch=0.0)
    return [crown, band, bobble]


def facewear(rng: np.random.Generator, who: Identity) -> list[Solid]:
    """A mask over mouth and nose, with folds and straps to the ears."""
    cloth = Material(jittered(rng, MASK_COLOURS), wave=(0.0, 5.0, 0.0), wave_depth=0.2)
    width = 0.6 * who.width
    mask = ellipsoid("Facewear", cloth, vec(0.0, 0.6, -0.5), (width, 0.47, 0.72))
    high = [vec(width * 0.9, 0.5, -0.45), vec(0.85 * who.width, 0.1, 0.1)]
    low = [vec(width * 0.9, 0.85, -0.4), vec(0.85 * who.width, 0.2, 0.1)]
    straps = [s for line in (high, low) for s in tube("Facewear", cloth, line, 0.03)]
    return [mask, *both_sides(straps)]
