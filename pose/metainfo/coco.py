"""COCO's 17 body keypoints, and the 133 of COCO-WholeBody (Jin et al., 2020).

"Left" and "right" are the person's own. The sigmas are the official ones; those of the two feet
differ in the official list too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

from pose.metainfo.metainfo import RGB, Link, PoseMetainfo

BLUE, GREEN, ORANGE = (51, 153, 255), (0, 255, 0), (255, 128, 0)
PINK, SKY, RED, WHITE = (255, 153, 255), (102, 178, 255), (255, 51, 51), (255, 255, 255)


# In the order of COCO's ids; all but the nose come as left_, right_.
_NOSE_SIGMA = 0.026
_UPPER_SIGMAS = {"eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062}
_LOWER_SIGMAS = {"hip": 0.107, "knee": 0.087, "ankle": 0.089}
_FOOT = ("big_toe", "small_toe", "heel")
_FOOT_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)  # left, then right

# The root of the hand, then each finger from the base to the tip, in the order of the colors.
_HAND_SIGMAS = (
    0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026,
    0.017, 0.021, 0.021, 0.032, 0.020, 0.019, 0.022, 0.031,
)  # fmt: skip
FINGER_COLORS: dict[str, RGB] = {
    "thumb": ORANGE,
    "forefinger": PINK,
    "middle_finger": SKY,
    "ring_finger": RED,
    "pinky_finger": GREEN,
}

# The 68 points of iBUG: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, lips 48-67.
_FACE_SIGMAS = (
    0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029, 0.032, 0.037,
    0.038, 0.043, 0.041, 0.045,
    0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015,
    0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010,
    0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034,
    0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007,
    0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008,
)  # fmt: skip
_FACE_PAIRS = (
    *((i, 16 - i) for i in range(8)),
    *((i, 43 - i) for i in range(17, 22)),
    *((i, 66 - i) for i in (31, 32)),
    *((i, 81 - i) for i in range(36, 40)),
    *((i, 87 - i) for i in (40, 41)),
    *((i, 102 - i) for i in (48, 49, 50)),
    *((i, 114 - i) for i in (55, 56)),
    *((i, 124 - i) for i in (60, 61)),
    (65, 67),
)


def side_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs every left_x with right_x."""
    lefts = (name for name in names if name.startswith("left_"))
    return tuple((left, left.replace("left_", "right_", 1)) for left in lefts)


def _both_sides(*names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names for side in ("left", "right"))


_UPPER, _LOWER = ("nose", *_both_sides(*_UPPER_SIGMAS)), _both_sides(*_LOWER_SIGMAS)
_BODY_NAMES = (*_UPPER, *_LOWER)
_SIDED_SIGMAS = (*_UPPER_SIGMAS.values(), *_LOWER_SIGMAS.values())
_BODY_SIGMAS = (_NOSE_SIGMA, *(sigma for sigma in _SIDED_SIGMAS for _ in range(2)))
_BODY_COLORS = (*[BLUE] * 5, *[GREEN, ORANGE] * 6)
BODY_SKELETON = (
    ("left_ankle", "left_knee", GREEN),
    ("left_knee", "left_hip", GREEN),
    ("right_ankle", "right_knee", ORANGE),
    ("right_knee", "right_hip", ORANGE),
    ("left_hip", "right_hip", BLUE),
    ("left_shoulder", "left_hip", BLUE),
    ("right_shoulder", "right_hip", BLUE),
    ("left_shoulder", "right_shoulder", BLUE),
    ("left_shoulder", "left_elbow", GREEN),
    ("right_shoulder", "right_elbow", ORANGE),
    ("left_elbow", "left_wrist", GREEN),
    ("right_elbow", "right_wrist", ORANGE),
    ("left_eye", "right_eye", BLUE),
    ("nose", "left_eye", BLUE),
    ("nose", "right_eye", BLUE),
    ("left_eye", "left_ear", BLUE),
    ("right_eye", "right_ear", BLUE),
    ("left_ear", "left_shoulder", BLUE),
    ("right_ear", "right_shoulder", BLUE),
)

COCO = PoseMetainfo(
    name="coco",
    keypoints=_BODY_NAMES,
    flip_pairs=side_pairs(_BODY_NAMES),
    sigmas=_BODY_SIGMAS,
    colors=_BODY_COLORS,
    skeleton=BODY_SKELETON,
    upper_body=_UPPER,
    lower_body=_LOWER,
)

_FOOT_NAMES = tuple(f"{side}_{name}" for side in ("left", "right") for name in _FOOT)
FOOT_SKELETON = tuple(
    (f"{side}_ankle", f"{side}_{name}", color)
    for side, color in (("left", GREEN), ("right", ORANGE))
    for name in _FOOT
)


def hand_skeletons(root: str, joints: Sequence[str]) -> tuple[Link, ...]:
    """Lines from a root along each finger of the left and of the right hand.

    Args:
        root: Name without its side, such as "wrist".
        joints: What follows a finger's name, from the base to the tip.
    """
    links = []
    for side, (finger, color) in product(("left", "right"), FINGER_COLORS.items()):
        chain = [f"{side}_{root}", *(f"{side}_{finger}{joint}" for joint in joints)]
        links += [(a, b, color) for a, b in pairwise(chain)]
    return tuple(links)


def _hand_names(side: str) -> tuple[str, ...]:
    points = (f"{finger}{i}" for finger in FINGER_COLORS for i in range(1, 5))
    return tuple(f"{side}_{point}" for point in ("hand_root", *points))


_FACE_NAMES = tuple(f"face-{i}" for i in range(68))
_WHOLEBODY_NAMES = (
    *_BODY_NAMES, *_FOOT_NAMES, *_FACE_NAMES, *_hand_names("left"), *_hand_names("right"),
)  # fmt: skip
_HAND_COLORS = (WHITE, *(color for color in FINGER_COLORS.values() for _ in range(4)))

COCO_WHOLEBODY = PoseMetainfo(
    name="coco_wholebody",
    keypoints=_WHOLEBODY_NAMES,
    flip_pairs=(
        *side_pairs(_WHOLEBODY_NAMES),
        *((f"face-{i}", f"face-{j}") for i, j in _FACE_PAIRS),
    ),
    sigmas=(*_BODY_SIGMAS, *_FOOT_SIGMAS, *_FACE_SIGMAS, *_HAND_SIGMAS * 2),
    colors=(*_BODY_COLORS, *[ORANGE] * 6, *[WHITE] * 68, *_HAND_COLORS * 2),
    skeleton=(*BODY_SKELETON, *FOOT_SKELETON, *hand_skeletons("hand_root", "1234")),
    upper_body=_UPPER,
    lower_body=(*_LOWER, *_FOOT_NAMES),
    groups={
        "body": tuple(range(17)),
        "foot": tuple(range(17, 23)),
        "face": tuple(range(23, 91)),
        "left_hand": tuple(range(91, 112)),
        "right_hand": tuple(range(112, 133)),
    },
)  # fmt: skip
