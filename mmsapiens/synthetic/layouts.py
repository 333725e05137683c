"""The layouts of the real datasets that synthetic people are written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mmsapiens.synthetic.write_face import FACE_PATTERNS, write_face
from mmsapiens.synthetic.write_geometry import Geometry, geometry_patterns, write_geometry
from mmsapiens.synthetic.write_parts import CIHP, GOLIATH, LIP, PartsLayout, write_parts
from mmsapiens.synthetic.write_pose import PoseLayout, write_annotations, write_pose
from mmsapiens.synthetic.writing import Split


@dataclass(frozen=True)
class Layout:
    """How a dataset is written.

    Args:
        write: Writes picture ``index`` of ``split`` to ``out_dir``, in this order, and takes
            ``seed``, ``size_hw`` and, but for faces, ``variety`` as keywords.
        patterns: Match all files of the layout, below ``out_dir``.
        has_val: Whether it has a validation split.
        finish: Writes the files of a split from what ``write`` returned for its pictures.
    """

    write: Callable[..., Any]
    patterns: tuple[str, ...]
    has_val: bool = False
    finish: Callable[[Path, Split, list[Any]], None] | None = None


def parts_layout(parts: PartsLayout) -> Layout:
    """The layout of a dataset of body parts."""
    return Layout(
        partial(write_parts, layout=parts), parts.patterns, has_val="val" in parts.folders
    )


def geometry_layout(what: Geometry) -> Layout:
    """The layout of a dataset of depth or normals."""
    return Layout(partial(write_geometry, what=what), geometry_patterns(what))


def pose_layout(name: str) -> Layout:
    """The layout of a keypoint dataset."""
    # Imported late: the other layouts need neither PyTorch nor its seconds to start.
    from pose.metainfo import COCO, COCO_WHOLEBODY, GOLIATH

    pose = {
        "coco": PoseLayout(
            "person_keypoints_{split}", COCO.keypoints, {"body": range(len(COCO.keypoints))}
        ),
        "coco_wholebody": PoseLayout(
            "coco_wholebody_{split}", COCO_WHOLEBODY.keypoints, COCO_WHOLEBODY.groups
        ),
        "goliath_pose": PoseLayout(
            "person_keypoints_{split}",
            GOLIATH.keypoints,
            GOLIATH.groups,
            whole_field="goliath_wholebody_kpts",
            most_people=1,
        ),
    }[name]
    return Layout(
        partial(write_pose, layout=pose),
        pose.patterns,
        has_val=True,
        finish=partial(write_annotations, layout=pose),
    )


LAYOUTS: dict[str, Callable[[], Layout]] = {
    "face": lambda: Layout(write_face, FACE_PATTERNS),
    "goliath": lambda: parts_layout(GOLIATH),
    "lip": lambda: parts_layout(LIP),
    "cihp": lambda: parts_layout(CIHP),
    "depth": lambda: geometry_layout("depths"),
    "normal": lambda: geometry_layout("normals"),
    "coco": lambda: pose_layout("coco"),
    "coco_wholebody": lambda: pose_layout("coco_wholebody"),
    "goliath_pose": lambda: pose_layout("goliath_pose"),
}
"""What makes each layout, by name."""
