"""What a COCO-style annotation file says of the people that an evaluation counts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log

from engine.errors import DataError
from pose.annotations import AnnotationFile, Person
from pose.coco_format import Id, id_order, read_number
from pose.metrics.coco_eval import MOST_PEOPLE

# Of a box's area, where a dataset has no areas of its own: the mean of COCO's people.
_SHARE_OF_BOX = 0.53
_MOST_AREA = 1e10  # pycocotools counts nobody who is larger


class Truth(NamedTuple):
    """The annotations of a file.

    Attributes:
        path: Of the file.
        people: What :func:`pose.metrics.coco_eval.average_precision` takes, with keypoints (K, 3).
        image_ids: Of all images, in order.
    """

    path: str
    people: list[dict[str, Any]]
    image_ids: list[Id]

    @classmethod
    def of(cls, annotated: AnnotationFile, use_area: bool) -> Truth:
        """Reads people; those that do not count are neither missed nor mistakes.

        Args:
            annotated: The file.
            use_area: Take the size of a person from its ``area``; otherwise 0.53 of the box's.

        Raises:
            DataError: If an area is missing or none.
        """
        people = []
        for person in annotated.people():
            counts = person.is_labelled and person.box_xyxy is not None
            people.append(
                {
                    "image_id": person.image["id"],
                    "bbox": np.nan_to_num(person.box_xywh).tolist(),
                    "area": _area(person, annotated.path, use_area) if counts else 1.0,
                    "iscrowd": int(person.is_crowd),
                    "keypoints": person.keypoints,
                    "counts": counts,
                }
            )
        return cls(annotated.path, people, sorted(annotated.images, key=id_order))

    def check_images(self, evaluated: Iterable[Id]) -> None:
        """Checks that all images that are evaluated are in the file.

        Raises:
            DataError: If one is not.
        """
        unknown = sorted(set(evaluated) - set(self.image_ids), key=id_order)
        if unknown:
            raise DataError(
                f"{self.path} lacks {len(unknown)} of the evaluated images, such as image id "
                f"{unknown[0]!r}. Give the metric the ann_file of the dataset."
            )

    def warn_of_people(self, records: Sequence[dict]) -> None:
        """Warns if even predictions that are the truth would not have an AP of 1.

        Args:
            records: Of the dataset.
        """
        counted = Counter(person["image_id"] for person in self.people if person["counts"])
        total, most = counted.total(), max(counted.values(), default=0)
        if "keypoints" in records[0] and len(records) != total:
            print_log(
                f"{self.path}: {total} people count, but the dataset has {len(records)}: the "
                "others are missed, whatever the model predicts. Give dataset and metric one file, "
                "and no indices.",
                "current",
                logging.WARNING,
            )
        if most > MOST_PEOPLE:
            print_log(
                f"{self.path}: up to {most} people are in one image. By COCO's rules only the "
                f"{MOST_PEOPLE} predictions with the highest scores count there; the others are "
                "missed.",
                "current",
                logging.WARNING,
            )


def _area(person: Person, path: str, use_area: bool) -> float:
    found = person.annotation
    where = f"{path}: annotation {found['id']!r}"
    if not use_area:
        area = float(_SHARE_OF_BOX * person.box_xywh[2:].prod())
        return read_number(area, f"{where}: the area of the box", most=_MOST_AREA)
    hint = "Set use_area=False of the metric to derive it from the box."
    if "area" not in found:
        raise DataError(f"{where} has no area. {hint}")
    try:
        return read_number(found["area"], f"{where}: area", least=1, most=_MOST_AREA)
    except DataError as error:
        raise DataError(f"{error} {hint}") from error
