"""Writes synthetic people with keypoints, as COCO, COCO-WholeBody or Goliath do.

``images/{train,val}/NNNNNNNNNNNN.jpg`` and ``annotations/<name>_{train,val}.json``, whose file
names begin with ``train/`` or ``val/``. Ids of images and annotations start at 1. Feet, face and
hands have fields of their own: keypoints, their box, and whether any of them is visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .body import sample_group, sample_person
from .keypoint_names import keypoints_of
from .render import Render, render
from .writing import Split, scene_rng, write_image, write_json

# A group of keypoints -> the prefix of its fields.
_PREFIXES = {"foot": "foot", "face": "face", "left_hand": "lefthand", "right_hand": "righthand"}


@dataclass(frozen=True)
class PoseLayout:
    """A keypoint dataset.

    Args:
        file_name: Stem of the annotation files, with ``{split}``.
        keypoints: Names of all K keypoints.
        groups: Ids of those of "body", and of "foot", "face", "left_hand" and "right_hand" if the
            dataset has these; other groups are not used.
        whole_field: Field of all keypoints in one list, if there is one.
        most_people: In a picture.
    """

    file_name: str
    keypoints: tuple[str, ...]
    groups: Mapping[str, Sequence[int]]
    whole_field: str | None = None
    most_people: int = 4

    @property
    def patterns(self) -> tuple[str, ...]:
        """Match the files that this module writes."""
        annotations = (self.file_name.format(split=split) for split in ("train", "val"))
        return (
            *(f"images/{split}/{'[0-9]' * 12}.jpg" for split in ("train", "val")),
            *(f"annotations/{name}.json" for name in annotations),
        )


def write_pose(
    out_dir: Path,
    split: Split,
    index: int,
    *,
    layout: PoseLayout,
    seed: int,
    size_hw: tuple[int, int],
    variety: float = 1.0,
) -> dict[str, Any]:
    """Writes one picture, which depends only on the arguments.

    Returns:
        Its "image" and "annotations" for :func:`write_annotations`; these lack their ids.

    Raises:
        DataError: The picture cannot be written.
    """
    rng = scene_rng(seed, index, split)
    if layout.most_people == 1:
        num, scene = 1, sample_person(rng, variety)
    else:
        num = int(rng.integers(1, layout.most_people + 1))
        scene = sample_group(rng, num, variety)
    picture = render(scene, size_hw)
    image_id = index + 1
    name = f"{split}/{image_id:012d}.jpg"
    write_image(out_dir / "images" / name, picture.image)
    height, width = size_hw
    people = (_annotation(picture, person, layout) for person in range(num))
    return {
        "image": {"id": image_id, "file_name": name, "height": height, "width": width},
        "annotations": [{"image_id": image_id, **found} for found in people if found],
    }


def write_annotations(
    out_dir: Path, split: Split, results: Sequence[dict[str, Any]], layout: PoseLayout
) -> None:
    """Writes the annotation file of a split from what :func:`write_pose` returned."""
    annotations = [found for result in results for found in result["annotations"]]
    info: dict[str, Any] = {"description": "Synthetic people"}
    if layout.whole_field:  # which of them the groups are, as Goliath says it
        groups = {f"{name}_keypoint_ids": list(ids) for name, ids in layout.groups.items()}
        info["goliath_info"] = groups
    body = [layout.keypoints[i] for i in layout.groups["body"]]
    content = {
        "info": info,
        "images": [result["image"] for result in results],
        "annotations": [{"id": i, **found} for i, found in enumerate(annotations, start=1)],
        "categories": [{"id": 1, "name": "person", "keypoints": body, "skeleton": []}],
    }
    name = layout.file_name.format(split=split)
    write_json(out_dir / "annotations" / f"{name}.json", content)


def _annotation(picture: Render, person: int, layout: PoseLayout) -> dict[str, Any] | None:
    """The annotation of a person, None if nothing of it is seen."""
    box = picture.box_of(person)
    if box is None:
        return None
    x1, y1, x2, y2 = (float(v) for v in box)
    points = keypoints_of(picture, layout.keypoints, person)
    points[points[:, 2] == 0] = 0.0
    body = points[list(layout.groups["body"])]
    annotation: dict[str, Any] = {
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [x1, y1, x2 - x1 + 1.0, y2 - y1 + 1.0],
        "area": float((picture.person == person + 1).sum()),
        "num_keypoints": int((body[:, 2] > 0).sum()),
        "keypoints": _flat(body),
    }
    for group, prefix in _PREFIXES.items():
        if group in layout.groups:
            annotation |= _group_fields(prefix, points[list(layout.groups[group])])
    if layout.whole_field:
        annotation[layout.whole_field] = _flat(points)
    return annotation


def _group_fields(prefix: str, points: np.ndarray) -> dict[str, Any]:
    """Keypoints (K, 3), flag and box of a foot, face or hand, as COCO-WholeBody has them."""
    labelled = points[points[:, 2] > 0, :2]
    box = [0.0] * 4
    if len(labelled):
        low, high = labelled.min(axis=0), labelled.max(axis=0)
        box = [*low.tolist(), *(high - low).tolist()]
    return {
        f"{prefix}_kpts": _flat(points),
        f"{prefix}_box": [round(v, 2) for v in box],
        f"{prefix}_valid": bool((points[:, 2] == 2).any()),
    }


def _flat(points: np.ndarray) -> list[float]:
    """x, y, v of all points in one list; pixels to two decimals."""
    return [round(float(v), 2) for v in points.ravel()]
