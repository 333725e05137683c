"""How the datasets call the points of a scene, and the points of one person by those names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from engine.errors import DataError

from .render import Render

# Goliath counts these as the viewer sees them, from left to right or clockwise, and the scene from
# the nose outwards. They agree on the person's left; on the right these numbers trade places.
_COUNTED: tuple[tuple[str, Mapping[str, str]], ...] = (
    (
        r"midpoint_(\d)_of_.*_(?:lash|eyelid|crease)_line",
        {"1": "2", "2": "1", "3": "6", "6": "3", "4": "5", "5": "4"},
    ),
    (r"midpoint_(\d)_of_eyebrow", {"2": "3", "3": "2"}),
    (r"border_of_\w+_midpoint_(\d)", {"1": "4", "4": "1", "2": "3", "3": "2"}),
    (r"border_of_[a-z]+_(\d+)", {"3": "9", "9": "3"}),
    (r"point_(\d)_of_inner_helix", {"2": "8", "8": "2"}),
)
# The same for the lips, whose names say no side: these numbers are on the person's right.
_RIGHT_OF_LIP = {"1": "2", "3": "6", "4": "5"}


def scene_name(name: str) -> str:
    """The scene's name of a keypoint of COCO, COCO-WholeBody or Goliath.

    ``left_knee`` is ``Left_knee``, ``face-30`` is ``Nose``, ``inner_corner_of_l_nostril`` is
    ``Left_inner_corner_of_nostril``. A name that no dataset has is returned in the same style.
    """
    landmark = re.fullmatch(r"face-(\d+)", name)
    if landmark and int(landmark[1]) < len(_IBUG):
        return _IBUG[int(landmark[1])]
    name = name.replace("_third_joint", "1")
    lip = re.fullmatch(r"midpoint_(\d)_of_(\w+_lip)", name)
    if lip:
        side = "Right" if lip[1] in _RIGHT_OF_LIP else "Left"
        return f"{side}_midpoint_{_RIGHT_OF_LIP.get(lip[1], lip[1])}_of_{lip[2]}"
    sided = re.fullmatch(r"(.*_)?(l|r|left|right)_(.+)", name)
    if not sided:
        return name[0].upper() + name[1:]
    rest = (sided[1] or "") + sided[3]
    return f"Left_{rest}" if sided[2] in ("l", "left") else f"Right_{_recounted(rest)}"


def _recounted(name: str) -> str:
    for pattern, numbers in _COUNTED:
        match = re.search(pattern, name)
        if match:
            start, end = match.span(1)
            return name[:start] + numbers.get(match[1], match[1]) + name[end:]
    return name


def _across(right: Sequence[str], *middle: str) -> list[str]:
    """Points of the person's right, given without their side, of the middle, and of the left."""
    return [
        *(f"Right_{name}" for name in right),
        *middle,
        *(f"Left_{name}" for name in reversed(right)),
    ]


_NEAR_CORNER = ("midpoint_6", "midpoint_5")
# From the outer corner over the upper lid to the inner one, and back.
_AROUND_EYE = (
    "outer_end_of_upper",
    "midpoint_2_of_upper",
    "midpoint_1_of_upper",
    "inner_end_of_upper",
    "midpoint_1_of_lower",
    "midpoint_2_of_lower",
)
# The scene's names of the 68 landmarks of iBUG (Sagonas et al., 2013), in their order.
_IBUG = (
    *_across([f"jaw_{k}" for k in range(8)], "Chin"),
    *_across(
        [
            "end_of_eyebrow",
            *(f"upper_midpoint_{k}_of_eyebrow" for k in (3, 1, 2)),
            "upper_startpoint_of_eyebrow",
        ]
    ),
    "Center_of_nose_root",
    "Midpoint_2_of_nose_bridge",
    "Midpoint_3_of_nose_bridge",
    "Nose",
    *_across(["outer_corner_of_nose", "inner_corner_of_nostril"], "Bottom_center_of_nose"),
    *(f"Right_{at}_lash_line" for at in _AROUND_EYE),
    *(f"Left_{_AROUND_EYE[k]}_lash_line" for k in (3, 2, 1, 0, 5, 4)),
    *_across(
        ["outer_corner_of_mouth", *(f"{at}_of_upper_outer_lip" for at in _NEAR_CORNER)],
        "Center_of_cupid_bow",
    ),
    *reversed(
        _across([f"{at}_of_lower_outer_lip" for at in _NEAR_CORNER], "Center_of_lower_outer_lip")
    ),
    *_across(
        ["inner_corner_of_mouth", "midpoint_2_of_upper_inner_lip"], "Center_of_upper_inner_lip"
    ),
    *reversed(_across(["midpoint_2_of_lower_inner_lip"], "Center_of_lower_inner_lip")),
)


def keypoints_of(picture: Render, names: Sequence[str], person: int = 0) -> np.ndarray:
    """The keypoints of one person by a dataset's names.

    Args:
        picture: The rendered scene.
        names: K names of COCO, COCO-WholeBody or Goliath.
        person: Index of the person.

    Returns:
        (K, 3) float32: x, y in pixels, and v: 0 outside the image, 1 hidden, 2 visible.

    Raises:
        DataError: The person has no such keypoint.
    """
    found = picture.keypoints
    unknown = [name for name in names if (person, scene_name(name)) not in found]
    if unknown:
        raise DataError(
            f"Person {person} of the scene has no keypoints {unknown[:5]} ({len(unknown)} of "
            f"{len(names)} names). Check the names: those of COCO, COCO-WholeBody and Goliath are "
            "known, and a scene of sample_person or sample_group has all of them."
        )
    return np.stack([found[person, scene_name(name)] for name in names])
