"""Where the landmarks of a face lie on its solids.

A left point and its right partner have the same name but for the prefix ``Left_`` or ``Right_``;
``keypoint_names.py`` says how the datasets call them. A line along an eye has nine points from its
inner to its outer end, whose numbers halve it again and again, as in Goliath.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .build import vec
from .solids import Ellipsoid, Point

ALONG_EYE = (
    "inner_end",
    "midpoint_3",
    "midpoint_1",
    "midpoint_4",
    "centerpoint",
    "midpoint_5",
    "midpoint_2",
    "midpoint_6",
    "outer_end",
)
ALONG_BROW = ("startpoint", "midpoint_2", "midpoint_1", "midpoint_3")
FROM_CORNER_OF_LIP = ("midpoint_6", "midpoint_2", "midpoint_5")
# From the outer side over the top and the inner side to the bottom, as on the left eye's clock.
AROUND_IRIS = ("3", "midpoint_1", "12", "midpoint_4", "9", "midpoint_3", "6", "midpoint_2")
# In radii of the ear: from where it is attached (-1) to its rim (1), and from its top to its lobe.
ON_EAR: dict[str, tuple[float, float]] = {
    "top_connecting_point_of_helix": (-0.70, -0.50),
    "start_point_of_crus_of_helix": (-0.35, -0.10),
    "point_1_of_inner_helix": (-0.45, -0.62),
    "point_2_of_inner_helix": (-0.15, -0.78),
    "point_3_of_inner_helix": (0.15, -0.80),
    "point_4_of_inner_helix": (0.45, -0.66),
    "point_5_of_inner_helix": (0.65, -0.40),
    "point_6_of_inner_helix": (0.72, -0.10),
    "point_7_of_inner_helix": (0.66, 0.20),
    "point_8_of_inner_helix": (0.48, 0.50),
    "top_end_of_superior_crus": (0.20, -0.58),
    "top_end_of_inferior_crus": (-0.22, -0.40),
    "midpoint_1_of_inferior_crus": (0.02, -0.36),
    "start_of_antihelix": (0.28, -0.34),
    "midpoint_2_of_antihelix": (0.40, -0.16),
    "midpoint_1_of_antihelix": (0.44, 0.04),
    "midpoint_3_of_antihelix": (0.38, 0.22),
    "end_of_antihelix": (0.26, 0.38),
    "highest_point_of_antitragus": (0.06, 0.44),
    "deepest_point_of_concha": (0.02, 0.08),
    "top_point_of_tragus": (-0.50, -0.02),
    "protruding_point_of_tragus": (-0.40, 0.12),
    "bottom_point_of_tragus": (-0.42, 0.26),
    "midpoint_between_22_15": (-0.12, 0.62),
    "bottom_connecting_point_of_ear_lobe": (-0.42, 0.70),
    "tip_of_ear_lobe": (0.02, 0.92),
}


def _on_front(radii: tuple[float, float, float], u: float, v: float) -> Point:
    """The point of an ellipsoid's front over local (u, v); on its rim if that lies outside."""
    square = (u / radii[0]) ** 2 + (v / radii[1]) ** 2
    shrink = 1.0 / np.sqrt(max(square, 1.0))
    return u * shrink, v * shrink, -radii[2] * float(np.sqrt(max(1.0 - square, 0.0)))


def eye_points(
    side: float,
    lid_radii: tuple[float, float, float],
    almond: tuple[float, float],
    gaze: tuple[float, float],
    iris_and_pupil: tuple[float, float],
) -> dict[str, Point]:
    """Local points of a lid on which an eye is painted.

    Args:
        side: 1 for the person's left eye, -1 for the right one.
        lid_radii: Radii of the ellipsoid.
        almond: Half the width and height of the opening.
        gaze: Centre of iris and pupil.
        iris_and_pupil: Their radii.
    """
    name = "Left" if side > 0 else "Right"
    centre = _on_front(lid_radii, *gaze)
    placed = {f"{name}_{what}": centre for what in ("eye", "center_of_iris", "center_of_pupil")}
    width, height = almond
    for row, down in (("upper", -1.0), ("lower", 1.0)):
        for line, gap in (("lash", 0.0), ("eyelid", 0.02), ("crease", 0.045)):
            for t, along in zip(np.linspace(-1.0, 1.0, 9), ALONG_EYE, strict=True):
                x, y = side * t * (width + gap), down * (height * (1.0 - t * t) + gap)
                placed[f"{name}_{along}_of_{row}_{line}_line"] = _on_front(lid_radii, x, y)
    for ring, radius in zip(("iris", "pupil"), iris_and_pupil, strict=True):
        for angle, clock in zip(np.arange(8) * np.pi / 4, AROUND_IRIS, strict=True):
            x, y = side * radius * np.cos(angle), -radius * np.sin(angle)
            placed[f"{name}_border_of_{ring}_{clock}"] = _on_front(
                lid_radii, gaze[0] + x, gaze[1] + y
            )
    return placed


def brow_points(spine: Sequence[np.ndarray], radius: float) -> dict[str, np.ndarray]:
    """Points of the left brow, a tube along five positions from its start to its end."""
    placed = {"Left_end_of_eyebrow": spine[-1] + vec(0.7 * radius, 0.0, -0.7 * radius)}
    for row, down in (("upper", -0.7), ("lower", 0.7)):
        for point, along in zip(spine[:-1], ALONG_BROW, strict=True):
            placed[f"Left_{row}_{along}_of_eyebrow"] = point + radius * vec(0.0, down, -0.7)
    return placed


def lip_points(row: str, contour: str, line: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Points of one contour ("outer" or "inner") of the "upper" or "lower" lip.

    Args:
        row: Which lip.
        contour: Which contour.
        line: Nine positions from the right to the left corner; those of the corners are not used.
    """
    lip = f"{row}_{contour}_lip"
    middle = f"center_of_{lip}" if (row, contour) != ("upper", "outer") else "center_of_cupid_bow"
    placed = {middle.capitalize(): line[4]}
    for k, name in enumerate(FROM_CORNER_OF_LIP, start=1):
        placed[f"Right_{name}_of_{lip}"] = line[k]
        placed[f"Left_{name}_of_{lip}"] = line[8 - k]
    return placed


def ear_points(radii: tuple[float, float, float]) -> dict[str, Point]:
    """Local points of the left ear."""
    placed = {
        f"Left_{name}": _on_front(radii, u * radii[0], v * radii[1])
        for name, (u, v) in ON_EAR.items()
    }
    return {"Left_ear": (0.0, 0.0, -radii[2]), **placed}


def jaw_points(face: Ellipsoid) -> dict[str, Point]:
    """Local points of the lower face: the chin, and eight a side from the ear down to it."""
    rx, ry, rz = face.radii

    def at(down: float, aside: float) -> Point:
        flat = np.cos(down)
        return rx * flat * np.sin(aside), ry * np.sin(down), -rz * flat * np.cos(aside)

    placed = {"Chin": at(np.deg2rad(72), 0.0), "Tip_of_chin": at(np.deg2rad(66), 0.0)}
    for k in range(8):
        down, aside = np.deg2rad(-12 + 84 * (k / 8) ** 0.9), np.deg2rad(85 * (1 - k / 8) ** 0.6)
        for name, sign in (("Left", 1.0), ("Right", -1.0)):
            placed[f"{name}_jaw_{k}"] = at(down, sign * aside)
    return placed
