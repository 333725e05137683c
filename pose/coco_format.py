"""COCO's JSON of people: what datasets read their samples from, and metrics the truth."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.decoding import read_json
from engine.errors import DataError
from pose.metainfo import GOLIATH_RAW_IDS, PoseMetainfo

_RAW_GOLIATH = 344

# Fields of an annotation or a result -> the metainfo's group of keypoints in it.
_GROUP_FIELDS = {
    "keypoints": "body",
    "foot_kpts": "foot",
    "face_kpts": "face",
    "lefthand_kpts": "left_hand",
    "righthand_kpts": "right_hand",
}

# Whose file it is -> the fields of an annotation that together are its keypoints.
_FIELDS = {
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
        DataError: If a field is missing, there are not K, or a value is not finite.
    """
    where = f"{path}: annotation {annotation.get('id')}"
    fields = _FIELDS[layout]
    missing = [name for name in fields if name not in annotation]
    if missing:
        raise DataError(
            f"{where} has no {', '.join(missing)}; it holds {', '.join(annotation)}. Is this the "
            f"annotation file of {metainfo.name}?"
        )
    try:
        values = np.concatenate([np.asarray(annotation[name], float) for name in fields])
    except (TypeError, ValueError) as error:
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
    return points


def result_row(
    image_id: int, score: float, points: NDArray, metainfo: PoseMetainfo
) -> dict[str, Any]:
    """A person as a COCO results file has them.

    Keypoints are in one list, or, where a set has all of COCO-WholeBody's groups, in its five;
    Goliath's whole is added in its own field.

    Args:
        image_id: Of the image.
        score: Of the person.
        points: (K, 3): x, y and score of each keypoint.
        metainfo: Of the K keypoints.
    """
    row = {"image_id": image_id, "category_id": 1, "score": float(score)}
    if not set(_GROUP_FIELDS.values()) <= set(metainfo.groups):
        return {**row, "keypoints": points.ravel().tolist()}
    for name, group in _GROUP_FIELDS.items():
        row[name] = points[list(metainfo.groups[group])].ravel().tolist()
    if metainfo.name == "goliath":
        row["goliath_wholebody_kpts"] = points.ravel().tolist()
    return row


def read_people(path: str | Path) -> tuple[dict[int, dict], list[dict]]:
    """Reads an annotation file: image id -> its entry, and the annotations in their order.

    Raises:
        DataError: If it is missing, no such file, an entry lacks what is needed, or an annotation
            is of an image that the file lacks.
    """
    content = read_json(path)
    lists = ("images", "annotations")
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in lists):
        raise DataError(
            f"{path}: expected COCO's JSON, an object with the lists images and "
            f"annotations, found {_describe(content)}."
        )
    _require_keys(path, "image", content["images"], ("id", "file_name", "width", "height"))
    _require_keys(path, "annotation", content["annotations"], ("id", "image_id", "bbox"))
    images = {image["id"]: image for image in content["images"]}
    _require_images(path, (found["image_id"] for found in content["annotations"]), images)
    return images, content["annotations"]


def read_detections(path: str | Path, images: dict[int, dict], ann_path: str) -> list[dict]:
    """Reads detected boxes: [{"image_id", "category_id", "bbox": [x, y, w, h], "score"}, ...].

    Args:
        path: Of the file.
        images: Those of the annotation file, by their ids.
        ann_path: Of the annotation file, for errors.

    Raises:
        DataError: If the file is missing, no such list, or a box is of an unknown image.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(
            f"{path}: expected COCO's detections, a list of objects, found {_describe(content)}."
        )
    _require_keys(path, "detection", content, ("image_id", "bbox", "score"))
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
    path: str | Path, ids: Iterable[int], images: dict[int, dict], source: str | None = None
) -> None:
    unknown = sorted(set(ids) - set(images))
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} image ids, such as {unknown[0]!r}, are not among the "
            f"{len(images)} images of {source or 'the file'}. Are these of the same split?"
        )


def _describe(content: Any) -> str:
    if isinstance(content, dict):
        return f"an object with {', '.join(map(str, content)) or 'nothing'}"
    return f"a {type(content).__name__}"
