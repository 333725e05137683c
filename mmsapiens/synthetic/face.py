"""The face of a head that looks at the camera (-z): skull, eyes, brows, nose, mouth and ears.

Head frame: the origin lies between the ears, x to the person's left (the image's right), y down.
The head is about 2.3 units high, its eyes at y = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .build import both_sides, marked, rotation, surface_point, tube, vec
from .landmarks import brow_points, ear_points, eye_points, jaw_points, lip_points
from .solids import Colour, Decal, Ellipse, Ellipsoid, Material, Solid, tinted

SKIN_TONES: tuple[Colour, ...] = (
    (0.98, 0.83, 0.72),
    (0.93, 0.72, 0.58),
    (0.82, 0.60, 0.44),
    (0.66, 0.45, 0.31),
    (0.47, 0.30, 0.20),
)
HAIR_COLOURS: tuple[Colour, ...] = (
    (0.08, 0.06, 0.06),
    (0.22, 0.13, 0.08),
    (0.42, 0.25, 0.12),
    (0.80, 0.62, 0.30),
    (0.62, 0.22, 0.08),
    (0.66, 0.65, 0.64),
)
IRIS_COLOURS: tuple[Colour, ...] = (
    (0.25, 0.13, 0.05),
    (0.15, 0.35, 0.60),
    (0.20, 0.45, 0.25),
    (0.35, 0.35, 0.38),
)
BLACK: Colour = (0.03, 0.03, 0.03)


@dataclass(frozen=True)
class Identity:
    """What the parts of one person share.

    Args:
        skin: Material of the skin.
        hair: Material of hair and beard.
        width: Factor on the head's width.
    """

    skin: Material
    hair: Material
    width: float


def jittered(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of the colours, somewhat brighter or darker."""
    gain = rng.uniform(0.85, 1.12)
    return tinted(colours[int(rng.integers(len(colours)))], (gain, gain, gain))


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draws a person."""
    hair = Material(jittered(rng, HAIR_COLOURS), 0.12, wave=(9.0, 1.5, 7.0), wave_depth=0.35)
    skin = Material(jittered(rng, SKIN_TONES), gloss=rng.uniform(0.0, 0.12))
    return Identity(skin, hair, width=rng.uniform(0.92, 1.1))


def skull(rng: np.random.Generator, who: Identity) -> list[Solid]:
    """Cranium and face, on whose front all features are placed."""
    jaw = rng.uniform(0.60, 0.70)
    chin = rng.uniform(0.86, 0.98)
    cranium = (0.76 * who.width, 0.84, 0.92)
    face = Ellipsoid("Skin", who.skin, vec(0.0, 0.24, -0.1), radii=(jaw * who.width, chin, 0.74))
    return [
        Ellipsoid("Skin", who.skin, vec(0.0, -0.26, 0.12), radii=cranium),
        replace(face, keypoints=jaw_points(face)),
    ]


def eyes(rng: np.random.Generator, who: Identity, face: Sequence[Solid]) -> list[Solid]:
    """Bulging lids with an almond painted on them: lashes, white, iris, pupil and a glint."""
    x = rng.uniform(0.29, 0.33) * who.width
    width, height = rng.uniform(0.19, 0.225), rng.uniform(0.10, 0.145)
    gaze = rng.uniform(-0.05, 0.05), rng.uniform(-0.02, 0.03)
    iris = jittered(rng, IRIS_COLOURS)
    slant = rng.uniform(-0.12, 0.08)
    lid = who.skin.tinted((0.9, 0.85, 0.85))
    almond = Ellipse((0.0, 0.0), (width, height), pointed=True)
    radii, rings = (0.275, 0.2, 0.15), (0.085, 0.042)
    discs = (
        (gaze, rings[0], Material(iris, 0.3)),
        (gaze, rings[1], Material(BLACK, 0.3)),
        ((gaze[0] + 0.035, gaze[1] - 0.035), 0.022, Material((1.0, 1.0, 1.0), 0.5)),
    )
    solids: list[Solid] = []
    for side, name in ((1.0, "Left_eye"), (-1.0, "Right_eye")):
        lashes = Ellipse((0.0, -0.015), (width + 0.03, height + 0.03), pointed=True)
        decals = [
            Decal(name, Material(BLACK), (lashes,)),
            Decal(name, Material((0.97, 0.97, 0.97), 0.2), (almond,)),
        ]
        for centre, radius, material in discs:
            decals.append(Decal(name, material, (almond, Ellipse(centre, (radius, radius)))))
        solids.append(
            Ellipsoid(
                "Skin",
                lid,
                surface_point(face, side * x, 0.0, lift=-0.03),
                rotation(yaw=-side * 0.35, roll=side * slant),
                tuple(decals),
                eye_points(side, radii, (width, height), gaze, rings),
                radii=radii,
            )
        )
    return solids


def brows(rng: np.random.Generator, who: Identity, face: Sequence[Solid]) -> list[Solid]:
    """Arched tubes above the eyes, darker than the hair."""
    y, arch, tilt = rng.uniform(-0.33, -0.26), rng.uniform(0.02, 0.1), rng.uniform(-0.05, 0.07)
    material = who.hair.tinted((0.6, 0.6, 0.6))
    points = []
    for s in np.linspace(-1.0, 1.0, 5):
        height = y - arch * (1.0 - s * s) - tilt * s
        points.append(surface_point(face, (0.32 + 0.2 * s) * who.width, height, lift=0.01))
    radius = rng.uniform(0.055, 0.08)
    first, *others = tube("Left_brow", material, points, radius)
    return both_sides([marked(first, brow_points(points, radius)), *others])


def nose(rng: np.random.Generator, who: Identity, face: Sequence[Solid]) -> list[Solid]:
    """A bridge, a tip with nostrils, and two wings."""
    y, lift = rng.uniform(0.33, 0.43), rng.uniform(0.16, 0.24)
    size, spread = rng.uniform(0.11, 0.14), rng.uniform(0.11, 0.15)
    material = replace(who.skin.tinted((1.0, 0.87, 0.83)), gloss=0.15)
    top, tip = surface_point(face, 0.0, 0.02, lift=-0.02), surface_point(face, 0.0, y, lift)
    dark = Material(tinted(who.skin.colour, (0.25, 0.15, 0.12)))
    hole = Decal("Nose", dark, (Ellipse((0.0, 0.05), (0.045, 0.03)),))
    wing = Ellipsoid(
        "Nose",
        material,
        surface_point(face, spread, y + 0.04, lift=0.05),
        rotation(pitch=-0.5),
        (hole,),
        {
            "Left_outer_corner_of_nose": (0.09, 0.02, -0.05),
            "Left_inner_corner_of_nostril": (-0.045, 0.05, -0.09),
            "Left_outer_corner_of_nostril": (0.045, 0.05, -0.09),
            "Left_upper_corner_of_nostril": (0.0, 0.02, -0.125),
        },
        radii=(0.1, 0.085, 0.13),
    )
    tip += vec(0.0, 0.0, 0.06)
    bridge = tube("Nose", material, [top, tip], 0.085)[0]
    along = (tip - top)[None] * np.array([[0.3], [0.5], [0.7], [0.9]]) + top - vec(0.0, 0.0, 0.085)
    bridge = marked(
        bridge,
        {
            "Center_of_glabella": surface_point(face, 0.0, -0.25),
            "Center_of_nose_root": top - vec(0.0, 0.06, 0.07),
            "Midpoint_2_of_nose_bridge": along[0],
            "Midpoint_1_of_nose_bridge": along[1],
            "Midpoint_3_of_nose_bridge": along[2],
            "Tip_of_nose_bridge": along[3],
        },
    )
    front = (0.0, 0.0, -size)
    ball = Ellipsoid(
        "Nose",
        material,
        tip - vec(0.0, 0.0, 0.01),
        keypoints={
            "Nose": front,
            "Tip_of_nose": front,
            "Bottom_center_of_nose": (0.0, 0.09, -0.5 * size),
        },
        radii=(size, 0.105, size),
    )
    return [bridge, ball, *both_sides([wing])]


def mouth(rng: np.random.Generator, who: Identity, face: Sequence[Solid]) -> list[Solid]:
    """Lips as tubes between the corners; if open, the inside with teeth and tongue between them."""
    half, y, smile = rng.uniform(0.22, 0.3), rng.uniform(0.64, 0.70), rng.uniform(-0.03, 0.06)
    opening = rng.uniform(0.12, 0.2) if rng.random() < 0.55 else 0.0
    y += 0.25 * opening  # the jaw drops
    red = rng.uniform(0.45, 0.7)
    top = Material(tinted(who.skin.colour, (0.9, red, red)), gloss=0.1)
    bottom = Material(tinted(who.skin.colour, (1.0, red + 0.08, red + 0.1)), gloss=0.25)
    thin, thick = rng.uniform(0.065, 0.08), rng.uniform(0.065, 0.085)
    steps = np.linspace(-1.0, 1.0, 7)
    rise = np.sqrt(1.0 - steps**2)

    def line(
        offsets: np.ndarray, across: np.ndarray = steps, lift: float = 0.02
    ) -> list[np.ndarray]:
        heights = y - smile * across**2 + offsets
        return [
            surface_point(face, half * s, h, lift) for s, h in zip(across, heights, strict=True)
        ]

    # Cupid's bow: the upper lip dips in the middle.
    upper = tube("Top_lip", top, line(-(opening + thin) * rise + 0.02 * (steps == 0.0)), thin)
    lower = tube("Bottom_lip", bottom, line((opening + thick) * rise), thick)
    contours, eighths = {}, np.linspace(-1.0, 1.0, 9)
    for row, radius, sign in (("upper", thin, -1.0), ("lower", thick, 1.0)):
        spine = line(sign * (opening + radius) * np.sqrt(1.0 - eighths**2), eighths)
        for contour, out in (("outer", 0.6), ("inner", -0.6)):
            edge = [point + radius * vec(0.0, sign * out, -0.75) for point in spine]
            contours.update(lip_points(row, contour, edge))
    for name, end in (("Right", 0), ("Left", -1)):
        for contour, reach in (("outer", 1.1), ("inner", 0.9)):
            corner = line(np.zeros(2), np.array([-reach, reach]), 0.02 + thin)[end]
            contours[f"{name}_{contour}_corner_of_mouth"] = corner
    groove = surface_point(face, 0.0, 0.5 * (y + opening + thick + 1.09))
    upper[0] = marked(upper[0], {**contours, "Center_of_labiomental_groove": groove})
    inside = [_inside_of_mouth(face, y, half, opening)] if opening else []
    return [*inside, *upper, *lower]


def _inside_of_mouth(face: Sequence[Solid], y: float, half: float, opening: float) -> Solid:
    """A dark, flat ellipsoid along the slope of the face, painted with tongue and teeth."""
    above, below = (surface_point(face, 0.0, y + side * opening) for side in (-1.0, 1.0))
    _, height, depth = below - above
    tongue = Ellipse((0.0, 0.55 * opening), (0.17, 0.6 * opening))
    lower = Ellipse((0.0, opening + 0.03), (0.2, 0.5 * opening + 0.03))
    teeth = Ellipse((0.0, -opening - 0.02), (0.2, 0.55 * opening + 0.03))
    return Ellipsoid(
        "Mouth_interior",
        Material((0.25, 0.04, 0.05)),
        (above + below) / 2,
        rotation(pitch=float(np.arctan2(depth, height))),
        (
            Decal("Tongue", Material((0.78, 0.35, 0.36), 0.2), (tongue,)),
            Decal("Lower_teeth", Material((0.84, 0.86, 0.72), 0.2), (lower,)),
            Decal("Upper_teeth", Material((0.98, 0.96, 0.93), 0.2), (teeth,)),
        ),
        radii=(half + 0.02, opening + 0.07, 0.06),
    )


def ears(rng: np.random.Generator, who: Identity) -> list[Solid]:
    """Flat ellipsoids that stand out from the sides of the head, with a dark hollow."""
    size, out = rng.uniform(0.9, 1.15), rng.uniform(0.6, 0.95)
    material = who.skin.tinted((1.0, 0.84, 0.8))
    hollow = Material(tinted(who.skin.colour, (0.62, 0.42, 0.38)))
    x, radii = 0.83 * who.width, (0.17 * size, 0.27 * size, 0.07)
    ear = Ellipsoid(
        "Left_ear",
        material,
        vec(x, rng.uniform(0.05, 0.14), 0.12),
        rotation(yaw=out, roll=0.15),
        (Decal("Left_ear", hollow, (Ellipse((0.01, -0.03), (0.09 * size, 0.15 * size)),)),),
        ear_points(radii),
        radii=radii,
    )
    return both_sides([ear])
