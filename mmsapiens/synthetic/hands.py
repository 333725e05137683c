"""A hand: a palm and five fingers of three bones each.

Hand frame: y from the wrist to the fingers, the palm faces -x and the thumb points to -z.
"""

from __future__ import annotations

from .build import capsule, jointed, rotation
from .skeleton import Frame
from .solids import Material, Point, Solid

# Where a finger starts (y, z), the lengths of its bones, its radius, and its part of the spread.
FINGERS: dict[str, tuple[tuple[float, float], Point, float, float]] = {
    "forefinger": ((0.62, -0.23), (0.27, 0.19, 0.13), 0.085, -1.0),
    "middle_finger": ((0.66, -0.07), (0.30, 0.21, 0.14), 0.085, -0.3),
    "ring_finger": ((0.63, 0.09), (0.27, 0.19, 0.13), 0.082, 0.4),
    "pinky_finger": ((0.56, 0.23), (0.20, 0.14, 0.11), 0.072, 1.2),
}
THUMB = ((0.16, -0.2), (0.26, 0.2, 0.16), 0.095)


def hand(
    part: str, skin: Material, frame: Frame, size: float, curl: float, spread: float
) -> list[Solid]:
    """A left hand.

    Args:
        part: Name of the part.
        skin: Material of the skin or of a glove.
        frame: Of the hand.
        size: Factor on all lengths.
        curl: Angle between the bones of a finger.
        spread: Angle between the fingers.
    """
    radii = (0.15 * size, 0.42 * size, 0.33 * size)
    palm = frame.ellipsoid(part, skin, (0.0, 0.36 * size, 0.0), radii)
    root = {"Left_hand_root": frame.at(0.0, 0.03 * size, 0.0)}
    solids: list[Solid] = [jointed(palm, root, cover=0.1)]

    def add_finger(name: str, frame: Frame, bones: Point, radius: float, curl: float) -> None:
        """Three capsules with joints 1 at the palm to 4 at the tip."""
        end = frame.origin
        for number, bone in enumerate(bones, start=1):
            frame = Frame(end, frame.axes @ rotation(roll=curl))
            points = {f"Left_{name}{number}": frame.origin}
            end = frame.at(0.0, bone * size, 0.0)
            if number == len(bones):
                points[f"Left_{name}4"] = end
            tube = capsule(part, skin, frame.origin, end, radius)
            solids.append(jointed(tube, points, cover=0.1))

    for name, ((y, z), bones, radius, aside) in FINGERS.items():
        base = Frame(frame.at(0.0, y * size, z * size), frame.axes @ rotation(pitch=aside * spread))
        add_finger(name, base, bones, radius, curl)
    (y, z), bones, radius = THUMB
    turn = rotation(pitch=-0.75 - spread) @ rotation(roll=0.35)
    base = Frame(frame.at(-0.04 * size, y * size, z * size), frame.axes @ turn)
    add_finger("thumb", base, bones, radius, 0.4 * curl)
    return solids
