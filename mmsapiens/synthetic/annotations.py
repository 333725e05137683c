"""The annotation files of keypoint datasets, as COCO, COCO-WholeBody or Goliath have them.

Pictures are ``images/{train,val}/NNNNNNNNNNNN.jpg``; their names in the annotations begin with
``train/`` or ``val/``. Ids of images and annotations start at 1. Feet, face and hands have fields
of their own: keypoints, their box, and whether any of them is visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pose.metainfo import PoseMetainfo

from .keypoint_names import keypoints_of
from .render import Render

# A group of keypoints -> the prefix of its fields.
_PREFIXES = {"foot": "foot", "face": "face", "left_hand": "lefthand", "right_hand": "righthand"}


@dataclass(frozen=True)
class Annotations:
    """The annotations of a keypoint dataset.

    Args:
        name: Of the files, without the split.
        metainfo: The keypoints. Of its groups, "body" (else all of them), "foot", "face",
            "left_hand" and "right_hand" have fields of their own.
        whole_field: Field of all keypoints in one list, if there is one.
    """

    name: str
    metainfo: PoseMetainfo
    whole_field: str | None = None

    @property
    def path(self) -> str:
        """Of the file of a split, with ``{split}``."""
        return f"annotations/{self.name}_{{split}}.json"

    @property
    def groups(self) -> Mapping[str, Sequence[int]]:
        """Ids of the keypoints of each group."""
        return self.metainfo.groups or {"body": range(self.metainfo.num_keypoints)}

    def of_picture(self, picture: Render, image_id: int, file_name: str) -> dict[str, Any]:
        """Returns the "image" and "annotations" of a picture; the latter lack their ids."""
        height, width = picture.person.shape
        seen = np.unique(picture.person[picture.person > 0]).tolist()
        return {
            "image": {"id": image_id, "file_name": file_name, "height": height, "width": width},
            "annotations": [
                {"image_id": image_id, **self._of_person(picture, number - 1)} for number in seen
            ],
        }

    def of_split(self, pictures: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Returns the content of the file from what :meth:`of_picture` returned."""
        annotations = [found for picture in pictures for found in picture["annotations"]]
        info: dict[str, Any] = {"description": "Synthetic people"}
        if self.whole_field:  # which of them the groups are, as Goliath says it
            groups = {f"{name}_keypoint_ids": list(ids) for name, ids in self.groups.items()}
            info["goliath_info"] = groups
        body = [self.metainfo.keypoints[i] for i in self.groups["body"]]
        return {
            "info": info,
            "images": [picture["image"] for picture in pictures],
            "annotations": [{"id": i, **found} for i, found in enumerate(annotations, start=1)],
            "categories": [{"id": 1, "name": "person", "keypoints": body, "skeleton": []}],
        }

    def _of_person(self, picture: Render, person: int) -> dict[str, Any]:
        """The annotation of a person who is seen."""
        box = picture.box_of(person)
        assert box is not None
        x1, y1, x2, y2 = box.tolist()
        points = keypoints_of(picture, self.metainfo.keypoints, person)
        points[points[:, 2] == 0] = 0.0
        body = points[list(self.groups["body"])]
        annotation: dict[str, Any] = {
            "category_id": 1,
            "iscrowd": 0,
            "bbox": [x1, y1, x2 - x1 + 1.0, y2 - y1 + 1.0],
            "area": float((picture.person == person + 1).sum()),
            "num_keypoints": int((body[:, 2] > 0).sum()),
            "keypoints": _flat(body),
        }
        for group, prefix in _PREFIXES.items():
            if group in self.groups:
                annotation |= _group_fields(prefix, points[list(self.groups[group])])
        if self.whole_field:
            annotation[self.whole_field] = _flat(points)
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
