"""The people of an annotation file: the same ones for a dataset that trains and a metric."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from engine.errors import DataError
from pose.coco_format import (
    FIELDS,
    MOST_PIXELS,
    Id,
    id_order,
    read_id,
    read_images,
    read_keypoints,
)
from pose.metainfo import PoseMetainfo


@dataclass(frozen=True)
class Person:
    """A person as annotated.

    Attributes:
        id: That of the annotation if all of the file are different integers, else its position.
        annotation: Its entry.
        image: That of its image.
        keypoints: (K, 3) x, y, v in the order of the metainfo; a crowd's are 0.
        box_xywh: (4,) as it is annotated.
        box_xyxy: (4,) clipped to the pixels' centers; None if it has no area, or nothing of it is
            in the image.
        is_crowd: Whether several people are annotated as one.
    """

    id: int
    annotation: dict[str, Any]
    image: dict[str, Any]
    keypoints: NDArray[np.float64]
    box_xywh: NDArray[np.float64]
    box_xyxy: NDArray[np.float32] | None
    is_crowd: bool

    @property
    def has_points(self) -> bool:
        """Whether a keypoint is labelled, and not all of them at 0, 0."""
        labelled = self.keypoints[self.keypoints[:, 2] > 0, :2]
        return bool(labelled.max(initial=0) > 0)

    @property
    def is_labelled(self) -> bool:
        """Whether a dataset is to have the person, and a metric to count them; by COCO's rules not
        a crowd, and nobody whose ``num_keypoints`` is 0."""
        return not self.is_crowd and self.annotation.get("num_keypoints") != 0 and self.has_points

    def describe_box(self) -> str:
        """Says where the box is, for errors."""
        image = self.image
        return (
            f"{self.annotation['id']} [x, y, w, h] = {self.annotation['bbox']} in "
            f"{image['file_name']} of {image['width']:g}x{image['height']:g} (width x height)"
        )


class AnnotationFile:
    """A file of COCO's format, of which one category is people.

    Args:
        path: Of the file.
        layout: Whose fields its annotations have: see :func:`pose.coco_format.read_keypoints`.
        metainfo: Of the K keypoints. If the category names its own, these decide which is which.
        category: Name or id of the category; None if only one has keypoints.

    Attributes:
        images: Image id -> its entry.
        category_id: Of people.

    Raises:
        DataError: If the file contradicts itself or the metainfo, or several categories may be
            meant.
    """

    def __init__(
        self, path: str, layout: str, metainfo: PoseMetainfo, category: Id | None = None
    ) -> None:
        self.path = path
        self.layout = layout
        self.metainfo = metainfo
        self.images, content = read_images(path)
        self._annotations: list[dict] = content["annotations"]
        entries = _read_categories(path, content.get("categories"))
        self.category_id = _choose(path, self._annotations, entries, category)
        if self.category_id not in entries and any(e.get("keypoints") for e in entries.values()):
            raise DataError(
                f"{path}: annotations are of the category {self.category_id!r}, but its categories "
                f"are {', '.join(map(repr, entries))}, so that nobody knows whose names of "
                "keypoints are theirs. Correct the ids."
            )
        names = entries.get(self.category_id, {}).get("keypoints")
        self._order = None if not names else keypoint_order(names, layout, metainfo, path)

    def people(self) -> list[Person]:
        """Returns the people of the category, crowds and those without keypoints among them.

        Raises:
            DataError: If an annotation is not what it should be.
        """
        found = list(self._people())
        hidden = [p.id for p in found if not (p.is_labelled or p.is_crowd) and p.has_points]
        if hidden and self.layout == "coco":
            print_log(
                f"{self.path}: {len(hidden)} annotations, such as {hidden[0]}, say num_keypoints 0 "
                "but have labelled ones. They are left out, as COCO does; correct or remove "
                "num_keypoints to keep them.",
                "current",
                logging.WARNING,
            )
        return found

    def in_order(self, points: NDArray) -> NDArray:
        """Returns keypoints (K, ...) in the order of the file, for results that go with it."""
        if self._order is None:
            return points
        found = np.empty_like(points)
        found[self._order] = points
        return found

    def _people(self) -> Iterator[Person]:
        ids = [found["id"] for found in self._annotations]
        are_ids = all(type(i) is int for i in ids) and len(set(ids)) == len(ids)
        for number, found in enumerate(self._annotations):
            where = f"{self.path}: annotation {found['id']!r}"
            if found.get("category_id", self.category_id) != self.category_id:
                continue
            is_crowd = found.get("iscrowd") or 0
            num_keypoints = found.get("num_keypoints") or 0
            for key, value in (("iscrowd", is_crowd), ("num_keypoints", num_keypoints)):
                if not isinstance(value, int | float):
                    raise DataError(f"{where}: {key} must be a number, found {value!r}.")
            image = self.images[read_id(found["image_id"], where)]
            box_xywh = read_box(found, self.path)
            yield Person(
                id=found["id"] if are_ids else number,
                annotation=found,
                image=image,
                keypoints=self._keypoints(found, bool(is_crowd)),
                box_xywh=box_xywh,
                box_xyxy=clip_box(box_xywh, image),
                is_crowd=bool(is_crowd),
            )

    def _keypoints(self, found: dict, is_crowd: bool) -> NDArray[np.float64]:
        if is_crowd:
            return np.zeros((self.metainfo.num_keypoints, 3))
        points = read_keypoints(found, self.layout, self.metainfo, self.path)
        return points if self._order is None else points[self._order]


def read_box(found: dict, path: str) -> NDArray[np.float64]:
    """Returns the box of an annotation or a detection as (4,) x, y, w, h; perhaps NaN.

    Raises:
        DataError: If it is not 4 numbers, or these are no pixels.
    """
    try:
        x, y, w, h = np.asarray(found["bbox"], np.float64)
        box = np.array([x, y, w, h])
    except (OverflowError, TypeError, ValueError):
        box = np.full(4, np.inf)
    if (abs(box) > MOST_PIXELS).any():
        raise DataError(
            f"{path}: the box of {found['id']} must be 4 numbers, x, y, w, h in pixels; found "
            f"{found['bbox']!r}."
        )
    return box


def clip_box(
    box_xywh: NDArray, image: dict[str, Any], margin: int = 1
) -> NDArray[np.float32] | None:
    """Returns a box as (4,) x1, y1, x2, y2, clipped to the image less a margin, in pixels.

    None if it has no area, or nothing of it is in the image.
    """
    corner, size = box_xywh[:2], box_xywh[2:]
    most = np.array([image["width"], image["height"]] * 2) - margin
    box = np.concatenate([corner, corner + size]).clip(0, most).astype(np.float32)
    has_area = (size > 0).all() and (box[2:] > box[:2]).all()  # a NaN fails the comparison
    return box if has_area else None


def keypoint_order(
    names: Sequence[Any], layout: str, metainfo: PoseMetainfo, path: str
) -> NDArray[np.intp] | None:
    """Finds the metainfo's keypoints (K,) among those that a category of a file names.

    Names are equal if they differ only in case, spaces, hyphens and underscores. COCO-WholeBody
    names its 17 of the body only, and Goliath's files do not name those of their whole list.

    Returns:
        For each keypoint of the metainfo its position in the file; None if it is the same, or
        cannot be said.

    Raises:
        DataError: If the names are others than the metainfo's.
    """
    if not isinstance(names, list | tuple):
        raise DataError(f"{path}: keypoints of a category is a list of names, found {names!r}.")
    num = metainfo.num_keypoints
    ids = list(range(num))
    if layout != "coco" and len(names) != num:
        ids = list(metainfo.groups.get("body", ())) if "keypoints" in FIELDS[layout] else []
        if len(ids) != len(names):
            return None
    theirs = [_plain(name) for name in names]
    ours = [_plain(metainfo.keypoints[i]) for i in ids]
    if theirs == ours:
        return None
    if sorted(theirs) != sorted(ours):
        pairs = enumerate(zip(theirs, ours, strict=False))
        at = next((i for i, (a, b) in pairs if a != b and (a not in ours or b not in theirs)), None)
        at = min(len(names), len(ids)) if at is None else at
        raise DataError(
            f"{path}: its keypoint {at} is {_item(names, at)}, but that of the metainfo "
            f"{metainfo.name!r} is {_item([metainfo.keypoints[i] for i in ids], at)} "
            f"({len(names)} and {len(ids)} names). Write the same names in both: those of the "
            "file's categories may be in any order, but must be of the same points."
        )
    order = np.arange(num)
    order[ids] = [ids[theirs.index(name)] for name in ours]
    first = int(np.flatnonzero(order != np.arange(num))[0])
    print_log(
        f"{path} has the keypoints in another order than the metainfo {metainfo.name!r}: the first "
        f"to differ is {_item(names, ids.index(first))} in place of {metainfo.keypoints[first]!r}. "
        "They are taken by their names.",
        "current",
    )
    return order


def _plain(name: Any) -> str:
    return re.sub(r"[\s_-]+", "", str(name)).lower()


def _item(names: Sequence[Any], at: int) -> str:
    return repr(names[at]) if at < len(names) else "missing"


def _read_categories(path: str, categories: Any) -> dict[Id, dict]:
    """Id -> entry of the categories of a file, which may have none."""
    if categories is None:
        return {}
    if not isinstance(categories, list) or not all(isinstance(c, dict) for c in categories):
        raise DataError(f"{path}: categories must be a list of objects, found {categories!r}.")
    entries: dict[Id, dict] = {}
    for entry in categories:
        category_id = read_id(entry.get("id"), f"{path}: the id of a category")
        if entries.setdefault(category_id, entry) != entry:
            raise DataError(f"{path}: two categories have the id {category_id!r}.")
    return entries


def _choose(path: str, annotations: list[dict], entries: dict[Id, dict], category: Id | None) -> Id:
    """Returns the id of people; annotations without a category count as theirs."""
    used = {
        read_id(found["category_id"], f"{path}: category_id of annotation {found['id']!r}")
        for found in annotations
        if "category_id" in found
    }
    known = sorted(used | set(entries), key=id_order)
    names = {i: entries.get(i, {}).get("name") for i in known}
    listing = ", ".join(f"{names[i]!r} (id {i!r})" for i in known) or "no category"
    if category is not None:
        chosen = [i for i in known if category in (i, names[i])]
        if len(chosen) != 1:
            raise DataError(f"{path}: category={category!r} is not one of {listing}.")
        return chosen[0]
    candidates = [i for i in known if i in used] or known
    candidates = [i for i in candidates if entries.get(i, {}).get("keypoints")] or candidates
    if len(candidates) > 1:
        raise DataError(
            f"{path} holds several categories that may be people: {listing}. Say which one, by "
            f"name or id: category={names[candidates[0]] or candidates[0]!r} of the dataset."
        )
    return candidates[0] if candidates else 1
