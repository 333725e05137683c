"""The people of all images in one file of COCO's results, however many there are."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from tempfile import SpooledTemporaryFile
from threading import Lock

import numpy as np
from mmengine.structures import InstanceData

from engine.data.files import composed
from engine.errors import ConfigError, DataError
from pose.coco_format import Id, read_images, result_row
from pose.metainfo import PoseMetainfo
from pose.metrics.nms import rescore

_NUM_NAMED = 3
_IN_MEMORY = 2**24  # bytes; the rest is on the disk


class CocoResults:
    """Keeps people in a temporary file, and gives them in the order of the images' names.

    Several threads may add to it. In memory it has a name and a number an image.

    Args:
        metainfo: Of the keypoints.
        image_ids: By file name, as :func:`read_image_ids` gives them; by default ``image_id`` is
            the number that a file's name consists of, else its place among the images, or the next
            number that is free.
    """

    def __init__(self, metainfo: PoseMetainfo, image_ids: Mapping[str, Id] | None = None) -> None:
        self.metainfo, self.image_ids = metainfo, image_ids
        self._places: dict[str, int] = {}
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it lives as long as this
        self._lock = Lock()

    def check(self, names: Iterable[str]) -> None:
        """Checks that all images have ids.

        Raises:
            ConfigError: If some have none.
        """
        if self.image_ids is None:
            return
        without = [name for name in names if self._given(name) is None]
        if without:
            raise ConfigError(
                f"--annotations: it has no image of the names of {len(without)} of the images, "
                f"such as {', '.join(without[:_NUM_NAMED])}."
            )

    def add(self, name: str, people: InstanceData) -> None:
        """Keeps the people of an image.

        Args:
            name: Of the image, relative to the input.
            people: ``keypoints`` (N, K, 2), ``keypoint_scores`` (N, K), ``bbox_scores`` (N,).
        """
        scores = rescore(people.bbox_scores, people.keypoint_scores)
        content = pickle.dumps((np.dstack([people.keypoints, people.keypoint_scores]), scores))
        with self._lock:
            self._places[name] = self._file.seek(0, 2)
            self._file.write(content)

    def rows(self) -> Iterator[dict]:
        """Yields everybody as a row of COCO's results, with the ``file_name`` added."""
        taken: set[Id] = set()
        for name in sorted(self._places, key=_parts):
            given = self._given(name)
            taken.add(image_id := _number(name, taken) if given is None else given)
            self._file.seek(self._places[name])
            for points, score in zip(*pickle.load(self._file), strict=True):
                yield {"file_name": name, **result_row(image_id, score, points, self.metainfo)}

    def _given(self, name: str) -> Id | None:
        """The id that an annotation file says."""
        ids, name = self.image_ids or {}, composed(name)
        return ids.get(name, ids.get(PurePath(name).name))


def read_image_ids(path: str) -> dict[str, Id]:
    """Reads the ids of images from an annotation file in COCO's format.

    Returns:
        Ids by ``file_name``, and by the name without folders where only one image has it.

    Raises:
        DataError: If it is no such file, or two of its images have one name.
    """
    images = read_images(path, annotated=False)[0].values()
    full = {composed(image["file_name"]): image["id"] for image in images}
    if len(full) < len(images):
        raise DataError(f"{path}: two of its images have one file_name, but different ids.")
    bases = {name: PurePath(name).name for name in full}
    counts = Counter(bases.values())
    short = {bases[name]: i for name, i in full.items() if counts[bases[name]] == 1}
    return {**short, **full}


def _parts(name: str) -> list[str]:
    """Files sort by folder, as paths do."""
    return name.split("/")


def _number(name: str, taken: set[Id]) -> int:
    stem = PurePath(name).stem
    image_id = int(stem) if stem.isdecimal() else len(taken) + 1
    while image_id in taken:
        image_id += 1
    return image_id
