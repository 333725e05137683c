"""People in COCO's JSON: one sample a person."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from engine.data.dataset import BaseDataset
from engine.data.sampling import REDRAW_STREAM, SampleKey
from engine.errors import DataError
from pose.coco_format import read_detections, read_keypoints, read_people
from pose.metainfo import parse_metainfo
from pose.registry import DATASETS

MAX_REDRAWS = 1000
_SLOTS = 256  # of counters: the process itself and its data workers
_PERSON = 1


@DATASETS.register_module()
class CocoDataset(BaseDataset):
    """COCO's keypoints, or any in a JSON of the same format: give your own ``metainfo``.

    A record holds ``img_path``, ``img_id``, ``id`` (of the annotation), ``bbox`` (1, 4) x1, y1, x2,
    y2 and ``bbox_score`` (1,); and, unless boxes are detected, ``keypoints`` (1, K, 2) and
    ``keypoints_visible`` (1, K), 0 or 1. Left out are crowds and people without a keypoint.

    A sample that a transform rejects (``RequireKeypoints``) is replaced by one that is drawn at
    random, with a generator of its own key; ``num_redrawn`` counts them.

    Args:
        ann_file: Annotations, relative to ``data_root``.
        data_root: Folder of the dataset.
        data_prefix: ``img``: the folder of the images, relative to ``data_root``.
        metainfo: The keypoint set, if not the class's: see :func:`pose.metainfo.parse_metainfo`.
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
        data_prefix: dict | None = None,
        metainfo: str | Mapping[str, Any] | None = None,
        bbox_file: str | None = None,
        bbox_score_thr: float = 0.0,
        drop_bad_boxes: bool = False,
        **kwargs: Any,
    ) -> None:
        self.ann_path = os.path.join(data_root, ann_file)
        self.img_dir = os.path.join(data_root, (data_prefix or {}).get("img", ""))
        self.bbox_path = bbox_file and os.path.join(data_root, bbox_file)
        self.file_of_boxes = self.bbox_path or self.ann_path
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
        images, annotations = read_people(self.ann_path)
        found = self._detected(images) if self.bbox_path else self._annotated(annotations)
        records, bad = [], []
        for person, keypoints in found:
            image = images[person["image_id"]]
            box_xyxy = self._box(person, image)
            if box_xyxy is None:
                bad.append(
                    f"{person['id']} [x, y, w, h] = {person['bbox']} in {image['file_name']} of "
                    f"{image['width']}x{image['height']} (width x height)"
                )
                continue
            records.append(
                {
                    "img_path": os.path.join(self.img_dir, image["file_name"]),
                    "img_id": image["id"],
                    "id": person["id"],
                    "bbox": box_xyxy[None],
                    "bbox_score": np.array([person["score"]], np.float32),
                    **keypoints,
                }
            )
        if bad:
            self._report(bad)
        return records

    def _annotated(self, annotations: list[dict]) -> Iterator[tuple[dict, dict]]:
        """Yields people, and the keypoints of each."""
        for found in annotations:
            if found.get("iscrowd") or found.get("num_keypoints") == 0:
                continue
            points = read_keypoints(found, self.KEYPOINTS, self.keypoint_set, self.ann_path)
            if (points[:, 2] > 0).any() and points[:, :2].max() > 0:
                keypoints = points[None].astype(np.float32)
                visible = (keypoints[..., 2] > 0).astype(np.float32)
                yield (
                    {**found, "score": 1.0},
                    {"keypoints": keypoints[..., :2], "keypoints_visible": visible},
                )

    def _detected(self, images: dict[int, dict]) -> Iterator[tuple[dict, dict]]:
        """The same for detections, of which keypoints are not known."""
        detections = read_detections(self.file_of_boxes, images, self.ann_path)
        for number, found in enumerate(detections):
            is_person = found.get("category_id", _PERSON) == _PERSON
            if is_person and found["score"] >= self.bbox_score_thr:
                yield {**found, "id": number}, {}

    def _box(self, person: dict, image: dict) -> NDArray[np.float32] | None:
        """Returns a box as (4,) x1, y1, x2, y2; annotated ones are clipped to the pixels' centers.

        None if it has no area, or nothing of it is in the image.
        """
        try:
            x, y, w, h = np.asarray(person["bbox"], np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{self.file_of_boxes}: the box of {person['id']} must be 4 numbers, x, y, w, h; "
                f"found {person['bbox']!r}."
            ) from error
        box = np.array([x, y, x + w, y + h])
        size = np.array([image["width"], image["height"]] * 2)
        clipped = box.clip(0, size if self.bbox_path else size - 1)
        # A NaN fails the comparison.
        if not (w > 0 and h > 0 and (clipped[2:] > clipped[:2]).all()):
            return None
        return (box if self.bbox_path else clipped).astype(np.float32)

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
            packed = self._draw(key._replace(index=int(generator.integers(len(self)))))
        raise DataError(
            f"{type(self).__name__}: {MAX_REDRAWS} samples in a row were rejected by the pipeline. "
            "Lower num_keypoints of RequireKeypoints."
        )

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
