"""The naked figure: trunk, arms, legs and feet, with the joints that datasets name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .build import capsule, ellipsoid, jointed, marked, tube, vec
from .face import Identity
from .hands import hand
from .skeleton import DEPTH, SHOULDER_Y, Build, Limbs
from .solids import Ellipsoid, Material, Solid

COVER = 0.35  # the thickest clothes, beneath which joints count as seen


@dataclass(frozen=True, eq=False)
class Figure:
    """A person's body.

    Args:
        who: Skin and hair.
        build: Proportions.
        left: The left limbs.
        right: The right limbs, described as left ones.
    """

    who: Identity
    build: Build
    left: Limbs
    right: Limbs

    def sides(self, make: Callable[[Limbs], list[Solid]]) -> list[Solid]:
        """What ``make`` builds of the left limbs, for the left and for the right ones."""
        return [*make(self.left), *(s.mirrored() for s in make(self.right))]


def trunk(part: str, material: Material, build: Build, thicker: float = 0.0) -> list[Solid]:
    """Chest, belly and the slopes from the neck to the shoulders, as skin or as a garment."""
    girth = build.girth
    wide = 0.88 * build.shoulder

    def bulge(down: float, x: float, half: float, z: float) -> Ellipsoid:
        radii = (x + thicker, half * build.trunk + 0.5 * thicker, z * girth + thicker)
        return ellipsoid(part, material, vec(0.0, SHOULDER_Y + down * build.trunk, DEPTH), radii)

    chest = bulge(0.25, wide, 0.42, 0.72)
    belly = bulge(0.62, 0.5 * (wide + build.hip) * girth, 0.44, 0.64)
    slope = [vec(0.0, SHOULDER_Y - 0.12, DEPTH), vec(build.shoulder, SHOULDER_Y + 0.05, DEPTH)]
    shoulders = tube(part, material, slope, 0.38 * girth + thicker)
    return [chest, belly, *shoulders, *(s.mirrored() for s in shoulders)]


def pelvis(part: str, material: Material, build: Build, thicker: float = 0.0) -> Ellipsoid:
    """The hips, as skin or as a garment."""
    radii = (build.hip + 0.5 * build.girth, 0.8, 0.68 * build.girth)
    x, y, z = (r + thicker for r in radii)
    centre = vec(0.0, SHOULDER_Y + 0.97 * build.trunk, DEPTH)
    return ellipsoid(part, material, centre, (x, y, z))


def body(figure: Figure, glove: Material | None, toes: bool) -> list[Solid]:
    """Everything below the head.

    Args:
        figure: Whose body.
        glove: Material of the gloves, if worn.
        toes: Whether the toes are bare; shoes and socks have none.
    """
    skin, build, width = figure.who.skin, figure.build, figure.who.width
    neck = capsule(
        "Neck", skin, vec(0.0, 0.6, DEPTH), vec(0.0, SHOULDER_Y - 0.25, DEPTH), 0.42 * width
    )
    root = {"Neck": vec(0.0, SHOULDER_Y - 0.15, DEPTH)}
    hips = pelvis("Torso", skin, build)
    joints = {
        f"{side}_hip": limbs.upper_leg.origin * [sign, 1.0, 1.0]
        for side, limbs, sign in (("Left", figure.left, 1.0), ("Right", figure.right, -1.0))
    }
    return [
        jointed(neck, root, COVER),
        *trunk("Torso", skin.tinted((0.97, 0.92, 0.9)), build),
        jointed(hips, joints, cover=1.6 * COVER),
        *figure.sides(lambda limbs: [*_arm(figure, limbs, glove), *_leg(figure, limbs, toes)]),
    ]


def _arm(figure: Figure, limbs: Limbs, glove: Material | None) -> list[Solid]:
    skin, build = figure.who.skin, figure.build
    girth, elbow = build.girth, limbs.lower_arm.origin
    upper = capsule("Left_upper_arm", skin, limbs.upper_arm.origin, elbow, 0.31 * girth)
    lower = capsule("Left_lower_arm", skin, elbow, limbs.hand.origin, 0.235 * girth)
    bulge = (0.0, 0.3 * build.lower_arm, 0.0), (0.29 * girth, 0.75, 0.27 * girth)
    muscle = limbs.lower_arm.ellipsoid("Left_lower_arm", skin, *bulge)
    shoulder = {"Left_shoulder": limbs.upper_arm.origin, "Left_elbow": elbow}
    on_skin = {
        "Left_acromion": limbs.upper_arm.origin + vec(0.0, -0.31 * girth, 0.0),
        "Left_cubital_fossa": limbs.lower_arm.at(0.0, 0.08, -0.26 * girth),
        "Left_olecranon": limbs.upper_arm.at(0.0, build.upper_arm + 0.05, 0.3 * girth),
    }
    part, material = ("Left_glove", glove) if glove else ("Left_hand", skin)
    palm = hand(part, material, limbs.hand, build.hand, limbs.arm.curl, limbs.arm.spread)
    return [
        jointed(marked(upper, on_skin), shoulder, COVER),
        jointed(lower, {"Left_wrist": limbs.hand.origin}, COVER),
        muscle,
        *palm,
    ]


def _leg(figure: Figure, limbs: Limbs, toes: bool) -> list[Solid]:
    skin, build = figure.who.skin, figure.build
    girth, knee = build.girth, limbs.lower_leg.origin
    upper = capsule("Left_upper_leg", skin, limbs.upper_leg.origin, knee, 0.43 * girth)
    bulge = (0.0, 0.35 * build.upper_leg, 0.0), (0.53 * girth, 1.25, 0.53 * girth)
    bulk = limbs.upper_leg.ellipsoid("Left_upper_leg", skin, *bulge)
    lower = capsule("Left_lower_leg", skin, knee, limbs.foot.origin, 0.29 * girth)
    bulge = (0.0, 0.32 * build.lower_leg, 0.07), (0.34 * girth, 0.9, 0.34 * girth)
    calf = limbs.lower_leg.ellipsoid("Left_lower_leg", skin, *bulge)
    return [
        jointed(upper, {"Left_knee": knee}, COVER),
        bulk,
        jointed(lower, {"Left_ankle": limbs.foot.origin}, COVER),
        calf,
        *_foot(skin, limbs, toes),
    ]


def _foot(skin: Material, limbs: Limbs, toes: bool) -> list[Solid]:
    foot, part = limbs.foot, "Left_foot"
    heel, *others = foot_shape(part, skin, limbs, 0.0)
    points = {
        "Left_heel": foot.at(0.0, 0.3, 0.45),
        "Left_big_toe": foot.at(-0.2, 0.42, -1.15),
        "Left_small_toe": foot.at(0.28, 0.42, -0.9),
    }
    solids = [replace(marked(heel, points), cover=COVER), *others]
    for k in range(5 if toes else 0):
        x, reach = -0.2 + 0.12 * k, 1.05 - 0.065 * k
        line = [foot.at(x, 0.4, -0.7), foot.at(x, 0.42, -reach)]
        solids += tube(part, skin, line, 0.13 - 0.013 * k)
    return solids


def foot_shape(part: str, material: Material, limbs: Limbs, thicker: float) -> list[Solid]:
    """Heel, instep and ball of a left foot, as skin, sock or shoe."""
    foot = limbs.foot
    heel = capsule(part, material, foot.at(0.0, 0.0, 0.05), foot.at(0.0, 0.3, 0.2), 0.25 + thicker)
    instep = capsule(
        part, material, foot.at(0.0, 0.1, -0.05), foot.at(0.0, 0.34, -0.65), 0.2 + thicker
    )
    radii = (0.33 + thicker, 0.17 + thicker, 0.5 + thicker)
    return [heel, instep, foot.ellipsoid(part, material, (0.03, 0.38, -0.6), radii)]
