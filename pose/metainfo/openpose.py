"""OpenPose's way to draw a person, with 18 or 134 keypoints: what ControlNet takes as input."""

from __future__ import annotations

from numpy.typing import NDArray

from engine.errors import ConfigError
from pose.metainfo.coco import COCO, COCO_WHOLEBODY, FINGER_COLORS, side_pairs
from pose.metainfo.metainfo import MISSING, PoseMetainfo, index_map, take_keypoints

_RAINBOW = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
_NAMES = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
_SKELETON = (
    ("neck", "right_shoulder", (255, 0, 0)),
    ("neck", "left_shoulder", (255, 85, 0)),
    ("right_shoulder", "right_elbow", (255, 170, 0)),
    ("right_elbow", "right_wrist", (255, 255, 0)),
    ("left_shoulder", "left_elbow", (170, 255, 0)),
    ("left_elbow", "left_wrist", (85, 255, 0)),
    ("neck", "right_hip", (0, 255, 0)),
    ("right_hip", "right_knee", (0, 255, 85)),
    ("right_knee", "right_ankle", (0, 255, 170)),
    ("neck", "left_hip", (0, 255, 225)),
    ("left_hip", "left_knee", (0, 170, 255)),
    ("left_knee", "left_ankle", (0, 85, 255)),
    ("neck", "nose", (0, 0, 255)),
    ("nose", "right_eye", (255, 0, 170)),
    ("right_eye", "right_ear", (170, 0, 255)),
    ("nose", "left_eye", (255, 0, 255)),
    ("left_eye", "left_ear", (255, 0, 170)),
)
_UPPER = tuple(name for name in _NAMES if name == "neck" or name in COCO.upper_body)

OPENPOSE18 = PoseMetainfo(
    name="openpose18",
    keypoints=_NAMES,
    flip_pairs=side_pairs(_NAMES),
    colors=_RAINBOW,
    skeleton=_SKELETON,
    upper_body=_UPPER,
    lower_body=COCO.lower_body,
)
_NUM_BODY = COCO.num_keypoints
OPENPOSE134 = PoseMetainfo(
    name="openpose134",
    keypoints=(*_NAMES, *COCO_WHOLEBODY.keypoints[_NUM_BODY:]),
    flip_pairs=COCO_WHOLEBODY.flip_pairs,
    colors=(*_RAINBOW, *COCO_WHOLEBODY.colors[_NUM_BODY:]),
    skeleton=(*_SKELETON, *COCO_WHOLEBODY.skeleton[len(COCO.skeleton) :]),
    upper_body=_UPPER,
    lower_body=COCO_WHOLEBODY.lower_body,
)


# The same joints under Goliath's names.
_SAME_JOINT = {
    f"{side}_{joint}": f"{side}_{other}"
    for side in ("left", "right")
    for joint, other in (
        ("hand_root", "wrist"),
        *((f"{finger}1", f"{finger}_third_joint") for finger in FINGER_COLORS),
    )
}


def to_openpose(
    keypoints: NDArray, scores: NDArray, source: PoseMetainfo, score_thr: float = 0.3
) -> tuple[NDArray, NDArray, PoseMetainfo]:
    """Reduces people to an OpenPose set: 134 points if the source has hands, else 18.

    The neck is the middle of the shoulders, with score 1 if both exceed ``score_thr``, else 0. What
    the source lacks (with Goliath the 68 points of the face) is at (0, 0) with score 0.

    Args:
        keypoints: (N, K, 2), pixels.
        scores: (N, K).
        source: The set they are of; it must have ``left_shoulder`` and ``right_shoulder``.
        score_thr: Score above which a shoulder is seen.

    Returns:
        Keypoints (N, 18 or 134, 2), scores (N, 18 or 134), and the OpenPose set.

    Raises:
        ConfigError: If the source has no shoulders.
    """
    shoulders = [source.ids.get(f"{side}_shoulder", MISSING) for side in ("left", "right")]
    if MISSING in shoulders:
        raise ConfigError(
            f"{source.name} has no left_shoulder and right_shoulder, so OpenPose's neck is unknown."
        )
    target = OPENPOSE134 if "left_forefinger2" in source.ids else OPENPOSE18
    indices = index_map(source, target, aliases=_SAME_JOINT)
    reduced, reduced_scores = take_keypoints(keypoints, scores, indices)
    neck = target.ids["neck"]
    reduced[:, neck] = keypoints[:, shoulders].mean(axis=1)
    reduced_scores[:, neck] = (scores[:, shoulders] > score_thr).all(axis=1)
    return reduced, reduced_scores, target
