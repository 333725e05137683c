"""Goliath's 308 keypoints: body, feet, hands, and 238 points of the face.

Raw annotations hold 344. The 36 points of the teeth are dropped, and later ids move down.

Face points are named after the side (l, r: the person's own) and numbered, most of them in the
order in which a viewer meets them. A mirror therefore exchanges numbers as well as sides.
"""

from __future__ import annotations

import re

from pose.metainfo.coco import (
    BLUE,
    BODY_SKELETON,
    COCO_WHOLEBODY,
    FINGER_COLORS,
    FOOT_SKELETON,
    WHITE,
    hand_skeletons,
    side_pairs,
)
from pose.metainfo.metainfo import RGB, PoseMetainfo

_TEETH = range(220, 256)
GOLIATH_RAW_IDS = tuple(i for i in range(344) if i not in _TEETH)
"""For each of the 308 keypoints, its id in the raw list of 344."""

_WRISTS = ("left_wrist", "right_wrist")
_BODY = tuple(name for name in COCO_WHOLEBODY.keypoints[:23] if name not in _WRISTS)
_FINGER_JOINTS = ("4", "3", "2", "_third_joint")  # from the tip; the last one is the knuckle
_EXTRA = (
    "left_olecranon", "right_olecranon", "left_cubital_fossa", "right_cubital_fossa",
    "left_acromion", "right_acromion", "neck",
)  # fmt: skip
# What these joints lie next to, and therefore take the sigma of.
_SIGMA_OF = {"olecranon": "elbow", "cubital_fossa": "elbow", "acromion": "shoulder"}
_NECK_SIGMA, _FACE_SIGMA = 0.079, 0.010

# Names of numbered points -> digits, and what a mirror makes of them; others stay. The inner helix
# looks odd, but is what the released weights were trained with.
_RENUMBERED = {
    r"midpoint_(\d)_of_[lr]_eyebrow": ("23", "32"),
    r"midpoint_(\d)_of_\w+_(?:line|lip)": ("123645", "216354"),
    r"point_(\d)_of_inner_helix": ("28", "82"),
    r"border_of_\w+_midpoint_(\d)": ("1423", "4132"),
    r"border_of_[a-z]+_(3|9)": ("39", "93"),
}


def _other_side(name: str) -> str:
    return re.sub(r"(?<![a-z])[lr](?=_)", lambda m: "r" if m[0] == "l" else "l", name)


def _mirror(name: str) -> str:
    """The face point that takes the place of ``name`` in a mirrored image."""
    for pattern, digits in _RENUMBERED.items():
        if match := re.search(pattern, name):
            number = match[1].translate(str.maketrans(*digits))
            name = name[: match.start(1)] + number + name[match.end(1) :]
    return _other_side(name)


def _hand(side: str) -> tuple[str, ...]:
    points = (f"{finger}{joint}" for finger in FINGER_COLORS for joint in _FINGER_JOINTS)
    return tuple(f"{side}_{name}" for name in (*points, "wrist"))


_MIDDLE_OF_FACE = (
    "center_of_glabella", "center_of_nose_root", "tip_of_nose_bridge",
    "midpoint_1_of_nose_bridge", "midpoint_2_of_nose_bridge", "midpoint_3_of_nose_bridge",
    "center_of_labiomental_groove", "tip_of_chin",
)  # fmt: skip
_RIGHT_EYEBROW = tuple(
    f"{point}_of_r_eyebrow"
    for point in (
        "upper_startpoint", "lower_startpoint", "end", "upper_midpoint_1", "lower_midpoint_1",
        "upper_midpoint_2", "upper_midpoint_3", "lower_midpoint_2", "lower_midpoint_3",
    )
)  # fmt: skip
_LASH_LINE = ("inner_end", "outer_end", "centerpoint", *(f"midpoint_{i}" for i in range(1, 7)))
_LID_LINE = (
    "midpoint_3", "midpoint_1", "midpoint_4", "centerpoint", "midpoint_5", "midpoint_2",
    "midpoint_6",
)  # fmt: skip


def _right_lid(lid: str) -> tuple[str, ...]:
    return (
        *(f"r_{point}_of_{lid}_lash_line" for point in _LASH_LINE),
        *(f"r_{point}_of_{lid}_eyelid_line" for point in ("outer_end", *_LID_LINE)),
    )


_RIGHT_UPPER_LID = (
    *_right_lid("upper"), *(f"r_{point}_of_upper_crease_line" for point in _LID_LINE),
)  # fmt: skip
_RIGHT_LOWER_LID = _right_lid("lower")
_NOSE = (
    "tip_of_nose", "bottom_center_of_nose", "r_outer_corner_of_nose", "l_outer_corner_of_nose",
    *(f"{p}_corner_of_{s}_nostril" for s in "rl" for p in ("inner", "outer", "upper")),
)  # fmt: skip


def _lips(which: str, upper: str, lower: str) -> tuple[str, ...]:
    midpoints = [
        f"midpoint_{i}_of_{lip}_{which}_lip"
        for numbers in (range(1, 3), range(3, 7))
        for lip in ("upper", "lower")
        for i in numbers
    ]
    return (f"r_{which}_corner_of_mouth", f"l_{which}_corner_of_mouth", upper, lower, *midpoints)


_OUTER_LIPS = _lips("outer", "center_of_cupid_bow", "center_of_lower_outer_lip")
_INNER_LIPS = _lips("inner", "center_of_upper_inner_lip", "center_of_lower_inner_lip")
_LEFT_EAR = tuple(
    f"l_{point}"
    for point in (
        "top_end_of_inferior_crus", "top_end_of_superior_crus", "start_of_antihelix",
        "end_of_antihelix", "midpoint_1_of_antihelix", "midpoint_1_of_inferior_crus",
        "midpoint_2_of_antihelix", "midpoint_3_of_antihelix",
        *(f"point_{i}_of_inner_helix" for i in range(1, 8)),
        "highest_point_of_antitragus", "bottom_point_of_tragus", "protruding_point_of_tragus",
        "top_point_of_tragus", "start_point_of_crus_of_helix", "deepest_point_of_concha",
        "tip_of_ear_lobe", "midpoint_between_22_15", "bottom_connecting_point_of_ear_lobe",
        "top_connecting_point_of_helix", "point_8_of_inner_helix",
    )
)  # fmt: skip


def _circle(part: str) -> tuple[str, ...]:
    """The center of the left iris or pupil, and its border by the hours of a clock."""
    hours = ("3", "midpoint_1", "12", "midpoint_4", "9", "midpoint_3", "6", "midpoint_2")
    return (f"l_center_of_{part}", *(f"l_border_of_{part}_{hour}" for hour in hours))


_FACE_PARTS = (
    (_MIDDLE_OF_FACE, WHITE),
    (_RIGHT_EYEBROW, WHITE),
    (map(_other_side, _RIGHT_EYEBROW), WHITE),
    (map(_mirror, _RIGHT_UPPER_LID), (192, 64, 128)),
    (_RIGHT_UPPER_LID, (64, 32, 192)),
    (map(_mirror, _RIGHT_LOWER_LID), (64, 192, 128)),
    (_RIGHT_LOWER_LID, (64, 192, 32)),
    (_NOSE, (0, 192, 0)),
    (_OUTER_LIPS, (192, 0, 0)),
    (_INNER_LIPS, (0, 192, 192)),
    (_LEFT_EAR, (200, 200, 0)),
    (map(_mirror, _LEFT_EAR), (0, 200, 200)),
    (_circle("iris"), (128, 192, 64)),
    (map(_other_side, _circle("iris")), (192, 32, 64)),
    (_circle("pupil"), (192, 128, 64)),
    (map(_other_side, _circle("pupil")), (32, 192, 192)),
)
_FACE: dict[str, RGB] = {name: color for names, color in _FACE_PARTS for name in names}
_BODY_AND_HANDS = (*_BODY, *_hand("right"), *_hand("left"), *_EXTRA)
_NAMES = (*_BODY_AND_HANDS, *_FACE)


def _sigma(name: str) -> float:
    """COCO-WholeBody's, of the same joint or of the one that it lies next to."""
    if name in _FACE:
        return _FACE_SIGMA
    if name == "neck":
        return _NECK_SIGMA
    for part, joint in {**_SIGMA_OF, "_third_joint": "1"}.items():
        name = name.replace(part, joint)
    return COCO_WHOLEBODY.sigmas[COCO_WHOLEBODY.ids[name]]


def _ids(*names: str) -> tuple[int, ...]:
    return tuple(map(_NAMES.index, names))


GOLIATH = PoseMetainfo(
    name="goliath",
    keypoints=_NAMES,
    flip_pairs=(
        *side_pairs(_NAMES),
        *((name, _mirror(name)) for name in _FACE if name < _mirror(name)),
    ),
    sigmas=tuple(map(_sigma, _NAMES)),
    colors=(*[BLUE] * len(_BODY_AND_HANDS), *_FACE.values()),
    skeleton=(*BODY_SKELETON, *FOOT_SKELETON, *hand_skeletons("wrist", _FINGER_JOINTS[::-1])),
    upper_body=(*_BODY[:9], *_hand("right"), *_hand("left")),
    lower_body=_BODY[9:],
    groups={
        "body": _ids(*COCO_WHOLEBODY.keypoints[:17]),
        "foot": _ids(*COCO_WHOLEBODY.keypoints[17:23]),
        "face": _ids(*_FACE),
        "left_hand": _ids(*_hand("left")[:-1]),
        "right_hand": _ids(*_hand("right")[:-1]),
        "extra": _ids("neck", *_EXTRA[:-1]),
    },
)  # fmt: skip
