"""COCO's JSON, read entry by entry: images, keypoints, detected boxes, results."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.decoding import read_json
from engine.errors import DataError
from pose.metainfo import GOLIATH_RAW_IDS, PoseMetainfo

Id = int | str
"""Of an image or a category; whole floats become integers."""

_RAW_GOLIATH = 344
_MOST = 1e30  # float32 has no more
MOST_PIXELS = 1e6
"""A coordinate beyond it is no pixel; float32 hardly has a fraction left for it."""

# Fields of an annotation or a result -> the metainfo's group of keypoints in it.
_GROUP_FIELDS = {
    "keypoints": "body",
    "foot_kpts": "foot",
    "face_kpts": "face",
    "lefthand_kpts": "left_hand",
    "righthand_kpts": "right_hand",
}

# Whose file it is -> the fields of an annotation that together are its keypoints.
FIELDS = {
    "coco": ("keypoints",),
    "coco_wholebody": tuple(_GROUP_FIELDS),
    "goliath": ("goliath_wholebody_kpts",),
}


def read_keypoints(
    annotation: dict, layout: str, metainfo: PoseMetainfo, path: str
) -> NDArray[np.float64]:
    """Returns the keypoints (K, 3) of an annotation: x, y, and v > 0 where they are labelled.

    Args:
        annotation: Of one person.
        layout: ``"coco"``, ``"coco_wholebody"`` or ``"goliath"``: whose fields it has.
        metainfo: Of the K keypoints.
        path: Of the file, for errors.

    Raises:
        DataError: If a field is missing, there are not K, or a value is no pixel.
    """
    where = f"{path}: annotation {annotation.get('id')}"
    fields = FIELDS[layout]
    missing = [name for name in fields if name not in annotation]
    if missing:
        raise DataError(
            f"{where} has no {', '.join(missing)}; it holds {', '.join(annotation)}. Is this the "
            f"annotation file of {metainfo.name}?"
        )
    try:
        values = np.concatenate([_flat(annotation[name]) for name in fields])
    except (OverflowError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: {', '.join(fields)} must be lists of numbers, x, y, v of each keypoint: "
            f"{error}"
        ) from error
    points = values[: len(values) // 3 * 3].reshape(-1, 3)
    if layout == "goliath" and len(points) == _RAW_GOLIATH:
        points = points[list(GOLIATH_RAW_IDS)]
    if len(values) % 3 or len(points) != metainfo.num_keypoints:
        raise DataError(
            f"{where} has {len(values) / 3:g} keypoints (numbers in {', '.join(fields)}, divided "
            f"by 3), but the metainfo {metainfo.name!r} names {metainfo.num_keypoints}. Give the "
            "dataset and the model the metainfo of this file."
        )
    if not np.isfinite(points).all():
        bad = metainfo.keypoints[int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])]
        raise DataError(
            f"{where}: keypoint {bad!r} is not finite. Write 0, 0, 0 for one that is not labelled."
        )
    strange = np.flatnonzero((abs(points[:, :2]) > MOST_PIXELS).any(axis=1))
    if len(strange):
        raise DataError(
            f"{where}: keypoint {metainfo.keypoints[int(strange[0])]!r} is at x, y = "
            f"{points[strange[0], :2].tolist()}, which are no pixels. Mend the file."
        )
    return points


def _flat(values: Any) -> NDArray[np.float64]:
    """x, y, v of all keypoints in one list, or one list each, as some tools write them."""
    array = np.asarray(values, float)
    return array.ravel() if array.ndim == 2 and array.shape[1] == 3 else array


def result_row(
    image_id: Id, score: float, points: NDArray, metainfo: PoseMetainfo, category_id: Id = 1
) -> dict[str, Any]:
    """A person as a COCO results file has them.

    Keypoints are in one list, or, where a set has all of COCO-WholeBody's groups, in its five;
    Goliath's whole is added in its own field.

    Args:
        image_id: Of the image.
        score: Of the person.
        points: (K, 3): x, y and score of each keypoint.
        metainfo: Of the K keypoints.
        category_id: Of people.
    """
    row = {"image_id": image_id, "category_id": category_id, "score": float(score)}
    if not set(_GROUP_FIELDS.values()) <= set(metainfo.groups):
        return {**row, "keypoints": points.ravel().tolist()}
    for name, group in _GROUP_FIELDS.items():
        row[name] = points[list(metainfo.groups[group])].ravel().tolist()
    if metainfo.name == "goliath":
        row["goliath_wholebody_kpts"] = points.ravel().tolist()
    return row


def read_images(path: str | Path, annotated: bool = True) -> tuple[dict[Id, dict], dict[str, Any]]:
    """Reads an annotation file: image id -> its entry, and the whole content.

    Args:
        path: Of the file.
        annotated: Whether it must have annotations; those of test sets list images alone.

    Raises:
        DataError: If it is missing, no such file, an entry lacks what is needed or contradicts
            another, or an annotation is of an image that the file lacks.
    """
    content = read_json(path)
    lists = ("images", "annotations") if annotated else ("images",)
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in lists):
        raise DataError(
            f"{path}: expected COCO's JSON, an object with the lists {' and '.join(lists)}, "
            f"found {_describe(content)}."
        )
    _require_keys(path, "image", content["images"], ("id", "file_name", "width", "height"))
    annotations = content["annotations"] if annotated else []
    _require_keys(path, "annotation", annotations, ("id", "image_id", "bbox"))
    images: dict[Id, dict] = {}
    for image in content["images"]:
        image_id = read_id(image["id"], f"{path}: the id of an image")
        size = [
            read_number(image[key], f"{path}: {key} of image {image_id!r}", least=1)
            for key in ("width", "height")
        ]
        if not isinstance(image["file_name"], str) or not image["file_name"]:
            raise DataError(f"{path}: image {image_id!r} has no name: {image['file_name']!r}.")
        entry = {**image, "id": image_id, "width": size[0], "height": size[1]}
        if images.setdefault(image_id, entry) != entry:
            raise DataError(
                f"{path}: {images[image_id]['file_name']} and {image['file_name']} have the same "
                f"id, {image_id!r}, so that nobody knows whose the annotations are. Number the "
                "images anew."
            )
    ids = [
        read_id(found["image_id"], f"{path}: image_id of annotation {found['id']!r}")
        for found in annotations
    ]
    _require_images(path, ids, images)
    return images, content


def read_id(value: Any, where: str) -> Id:
    """Returns an id as a file has it: a string, or a whole number, also written as 7.0.

    Raises:
        DataError: If it is neither.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise DataError(f"{where} must be a whole number or a string, found {value!r}.")
    return value


def id_order(value: Id) -> tuple[bool, Id]:
    """Key of sorting ids: numbers, then strings."""
    return isinstance(value, str), value


def read_number(value: Any, where: str, least: float = -math.inf, most: float = _MOST) -> float:
    """Returns a finite number.

    Raises:
        DataError: If it is none, less than ``least``, or more than ``most``.
    """
    try:
        number = float("nan" if isinstance(value, bool | str) else value)
    except (OverflowError, TypeError):
        number = math.nan
    if not abs(number) <= most or number < least:
        limit = "" if least == -math.inf else f" of at least {least:g}"
        limit += "" if most == _MOST else f" and at most {most:g}"
        raise DataError(f"{where} must be a number{limit}, found {value!r}.")
    return number


def read_detections(path: str | Path, images: dict[Id, dict], ann_path: str) -> list[dict]:
    """Reads detected boxes: [{"image_id", "category_id", "bbox": [x, y, w, h], "score"}, ...].

    Args:
        path: Of the file.
        images: Those of the annotation file, by their ids.
        ann_path: Of the annotation file, for errors.

    Raises:
        DataError: If the file is missing, no such list, or a box is of an unknown image or has a
            score that is no number.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(
            f"{path}: expected COCO's detections, a list of objects, found {_describe(content)}."
        )
    _require_keys(path, "detection", content, ("image_id", "bbox", "score"))
    for number, found in enumerate(content):
        where = f"{path}: the {{}} of detection {number}"
        for key in {"image_id", "category_id"} & found.keys():
            found[key] = read_id(found[key], where.format(key))
        found["score"] = read_number(found["score"], where.format("score"))
    _require_images(path, (found["image_id"] for found in content), images, ann_path)
    return content


def _require_keys(path: str | Path, what: str, entries: list, keys: tuple[str, ...]) -> None:
    for number, entry in enumerate(entries):
        missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise DataError(
                f"{path}: {what} number {number} of the file has no {', '.join(missing)}; found "
                f"{_describe(entry)}."
            )


def _require_images(
    path: str | Path, ids: Iterable[Id], images: dict[Id, dict], source: str | None = None
) -> None:
    unknown = sorted(set(ids) - set(images), key=id_order)
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} image ids, such as {unknown[0]!r}, are not among the "
            f"{len(images)} images of {source or 'the file'}. Are these of the same split?"
        )


def _describe(content: Any) -> str:
    if isinstance(content, dict):
        return f"an object with {', '.join(map(str, content)) or 'nothing'}"
    return f"a {type(content).__name__}"
