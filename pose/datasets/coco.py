"""People in COCO's JSON: one sample a person."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypedDict

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from torch.utils.data import get_worker_info

from engine.data.dataset import BaseDataset
from engine.data.files import as_on_disk
from engine.data.sampling import REDRAW_STREAM, SampleKey
from engine.errors import DataError
from pose.annotations import AnnotationFile, Person, clip_box, read_box
from pose.coco_format import Id, read_detections
from pose.metainfo import parse_metainfo
from pose.registry import DATASETS

MAX_REDRAWS = 1000
_SLOTS = 256  # of counters: the process itself and its data workers


class DataPrefix(TypedDict, total=False):
    """Folders below ``data_root``: of the images."""

    img: str


@DATASETS.register_module()
class CocoDataset(BaseDataset):
    """COCO's keypoints, or any in a JSON of the same format: give your own ``metainfo``.

    A record holds ``img_path``, ``img_id``, ``annotated_size_hw`` of the image, ``id`` (of the
    annotation), ``bbox`` (1, 4) x1, y1, x2, y2 and ``bbox_score`` (1,); and, unless boxes are
    detected, ``keypoints`` (1, K, 2) and ``keypoints_visible`` (1, K), 0 or 1. Left out are crowds,
    people without a keypoint, and other categories. Where the file names its keypoints, they are
    taken by name. The id of the category is the attribute ``category_id``, once the file is read.

    A sample that a transform rejects (``RequireKeypoints``) is replaced by one that is drawn at
    random, with a generator of its own key; ``num_redrawn`` counts them.

    Args:
        ann_file: Annotations, relative to ``data_root``.
        data_root: Folder of the dataset.
        data_prefix: ``img``: the folder of the images, relative to ``data_root``.
        metainfo: The keypoint set, if not the class's: see :func:`pose.metainfo.parse_metainfo`.
        category: Name or id of the category of people; None if only one has keypoints.
        bbox_file: Detected boxes, relative to ``data_root``, to evaluate with instead of the
            annotated ones.
        bbox_score_thr: Lowest score of a detected box.
        drop_bad_boxes: Leave out boxes without an area, or outside their image, with a warning;
            otherwise they are errors.
        **kwargs: See :class:`engine.data.dataset.BaseDataset`.

    Raises:
        DataError: If a file contradicts itself, the metainfo or the images.
    """

    KEYPOINTS: ClassVar[str] = "coco"
    """Whose fields an annotation has, and which keypoints these are by default."""

    def __init__(
        self,
        ann_file: str,
        data_root: str = "",
        data_prefix: DataPrefix | None = None,
        metainfo: str | Mapping[str, Any] | None = None,
        category: Id | None = None,
        bbox_file: str | None = None,
        bbox_score_thr: float = 0.0,
        drop_bad_boxes: bool = False,
        **kwargs: Any,
    ) -> None:
        self.ann_path = os.path.join(data_root, ann_file)
        self.img_dir = os.path.join(data_root, (data_prefix or {}).get("img", ""))
        self.bbox_path = bbox_file and os.path.join(data_root, bbox_file)
        self.file_of_boxes = self.bbox_path or self.ann_path
        self.category = category
        self.category_id: Id | None = None
        self.bbox_score_thr = bbox_score_thr
        self.drop_bad_boxes = drop_bad_boxes
        self._redrawn = torch.zeros(_SLOTS, dtype=torch.int64).share_memory_()
        self.keypoint_set = parse_metainfo(metainfo or self.KEYPOINTS)
        super().__init__(data_root=data_root, metainfo=self.keypoint_set.as_dict(), **kwargs)

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping[str, Any] | None = None) -> dict:
        # MMEngine's would take each string in it for the name of a file.
        return dict(metainfo or {})

    def load_data_list(self) -> list[dict]:
        """Returns the records."""
        annotated = AnnotationFile(self.ann_path, self.KEYPOINTS, self.keypoint_set, self.category)
        self.category_id = annotated.category_id
        found = self._detected(annotated) if self.bbox_path else self._annotated(annotated)
        records, bad = [], []
        for person, score, fields in found:
            if person.box_xyxy is None:
                bad.append(person.describe_box())
                continue
            image = person.image
            records.append(
                {
                    "img_path": as_on_disk(self.img_dir, image["file_name"]),
                    "img_id": image["id"],
                    "annotated_size_hw": (image["height"], image["width"]),
                    "id": person.id,
                    "bbox": person.box_xyxy[None],
                    "bbox_score": np.array([score], np.float32),
                    **fields,
                }
            )
        if bad:
            self._report(bad)
        if not records:
            raise DataError(
                f"{self.file_of_boxes}: nobody is left: of the category "
                f"{annotated.category_id!r} there is no box with a labelled keypoint, or with a "
                f"score of at least {self.bbox_score_thr}."
            )
        return records

    def _annotated(self, annotated: AnnotationFile) -> Iterator[tuple[Person, float, dict]]:
        """Yields people, their scores, and their fields of keypoints."""
        for person in annotated.people():
            if person.is_labelled:
                keypoints = person.keypoints[None].astype(np.float32)
                visible = (keypoints[..., 2] > 0).astype(np.float32)
                yield (
                    person,
                    1.0,
                    {"keypoints": keypoints[..., :2], "keypoints_visible": visible},
                )

    def _detected(self, annotated: AnnotationFile) -> Iterator[tuple[Person, float, dict]]:
        """The same for detections, of which keypoints are not known, and boxes are not clipped."""
        detections = read_detections(self.file_of_boxes, annotated.images, self.ann_path)
        wanted = annotated.category_id
        categories = {found.get("category_id", wanted) for found in detections}
        if categories and wanted not in categories:
            raise DataError(
                f"{self.file_of_boxes}: no detection is of the category {wanted!r} of "
                f"{self.ann_path}; they are of {', '.join(map(repr, categories))}. Correct one of "
                "the files, or the category of the dataset."
            )
        nothing = np.zeros((self.keypoint_set.num_keypoints, 3))
        for number, found in enumerate(detections):
            if found.get("category_id", wanted) != wanted or found["score"] < self.bbox_score_thr:
                continue
            found = {**found, "id": number}
            image = annotated.images[found["image_id"]]
            box = read_box(found, self.file_of_boxes)
            is_inside = clip_box(box, image, margin=0) is not None
            corners = np.concatenate([box[:2], box[:2] + box[2:]]).astype(np.float32)
            box_xyxy = corners if is_inside else None
            person = Person(number, found, image, nothing, box, box_xyxy, is_crowd=False)
            yield person, found["score"], {}

    def _report(self, bad: list[str]) -> None:
        """Raises DataError for bad boxes, or warns of them if they are dropped."""
        message = (
            f"{self.file_of_boxes}: {len(bad)} boxes have no area or lie outside their image, such "
            f"as that of {bad[0]}."
        )
        if not self.drop_bad_boxes:
            raise DataError(f"{message} Mend them, or leave them out: drop_bad_boxes=True.")
        print_log(f"{message} They are left out.", "current", logging.WARNING)

    def _make(self, key: SampleKey) -> Any:
        packed = self._draw(key)
        generator = None
        for _ in range(MAX_REDRAWS):
            if packed is not None:
                return packed
            worker = get_worker_info()
            self._redrawn[0 if worker is None else 1 + worker.id % (_SLOTS - 1)] += 1
            generator = generator or np.random.default_rng([*key, REDRAW_STREAM])
            packed = self._redraw(key._replace(index=int(generator.integers(len(self)))))
        raise DataError(
            f"{type(self).__name__}: {MAX_REDRAWS} samples in a row were rejected by the pipeline. "
            "Lower num_keypoints of RequireKeypoints."
        )

    def _redraw(self, key: SampleKey) -> Any:
        """Draws another sample; a corrupt one counts as itself, not as the one it replaces."""
        try:
            return self._draw(key)
        except DataError as error:
            if self._corrupt is None:
                raise
            self._corrupt.add(self.record_of(key), error)
            return None

    @property
    def num_redrawn(self) -> int:
        """How many samples were rejected so far, by this process and its data workers."""
        return int(self._redrawn.sum())


@DATASETS.register_module()
class CocoWholeBodyDataset(CocoDataset):
    """COCO-WholeBody: 133 keypoints, in five lists an annotation."""

    KEYPOINTS = "coco_wholebody"


@DATASETS.register_module()
class GoliathDataset(CocoDataset):
    """Goliath: 308 keypoints in ``goliath_wholebody_kpts``, or the raw list of 344 with teeth."""

    KEYPOINTS = "goliath"


@HOOKS.register_module()
class RedrawnHook(Hook):
    """Logs after each epoch how many of this rank's samples had too few keypoints to learn from."""

    def before_train_epoch(self, runner: Any) -> None:
        """Reads the count that the epoch begins with."""
        self.before = getattr(runner.train_dataloader.dataset, "num_redrawn", 0)

    def after_train_epoch(self, runner: Any) -> None:
        """Logs the difference."""
        loader = runner.train_dataloader
        if not hasattr(loader.dataset, "num_redrawn"):  # a wrapper around several
            return
        num = loader.dataset.num_redrawn - self.before
        share = num / max(len(loader) * loader.batch_size, 1)
        runner.logger.info(f"{num} samples were redrawn for want of keypoints ({share:.1%}).")
