"""Average precision of the predictions for a COCO-style annotation file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from engine.data.dataset import BaseDataset
from engine.data.sample import DataSample
from engine.errors import ConfigError, NonFiniteError
from engine.tables import format_table
from pose.annotations import AnnotationFile
from pose.coco_format import Id, id_order, result_row
from pose.metainfo import parse_metainfo
from pose.metrics.coco_eval import STATS, average_precision
from pose.metrics.coco_truth import Truth
from pose.metrics.nms import oks_nms, rescore
from pose.registry import METRICS


@METRICS.register_module()
class CocoMetric(BaseMetric):
    """Average precision and recall by object keypoint similarity.

    A person's score is that of the box times the mean of the keypoint scores above a threshold.
    Of several predictions of one person only the best is kept. A person that two ranks predict
    counts once. People whom a dataset leaves out (crowds, without keypoints or a box) are neither
    missed, nor is it a mistake to find them; those of another category are not known at all.

    Args:
        ann_file: Annotations of the images that are predicted.
        metainfo: The keypoint set, if not the class's: see :func:`pose.metainfo.parse_metainfo`.
            ``load_config`` fills in the model's.
        category: Name or id of the category of people. ``load_config`` fills in the dataset's.
        score_mode: ``"bbox_keypoint"`` as above, or ``"bbox"``: the score of the box alone.
        keypoint_score_thr: Keypoints at or below it do not count for the score.
        nms_mode: ``"oks_nms"``, or ``"none"`` to keep all predictions.
        nms_thr: Similarity above which two predictions are of one person.
        use_area: Take the size of a person from the annotation's ``area``; otherwise 0.53 of the
            box's.
        outfile_prefix: Write the results to ``<prefix>.keypoints.json``, in COCO's format.
        prefix: Prefix of the reported names; default: that of the class.
    """

    default_prefix: ClassVar[str] = "coco"
    KEYPOINTS: ClassVar[str] = "coco"
    """Whose fields an annotation has, and which keypoints these are by default."""
    PARTS: ClassVar[tuple[str, ...]] = ()
    """Groups of the metainfo that are evaluated besides the whole."""

    def __init__(
        self,
        ann_file: str,
        metainfo: str | Mapping[str, Any] | None = None,
        category: Id | None = None,
        score_mode: Literal["bbox", "bbox_keypoint"] = "bbox_keypoint",
        keypoint_score_thr: float = 0.2,
        nms_mode: Literal["oks_nms", "none"] = "oks_nms",
        nms_thr: float = 0.9,
        use_area: bool = True,
        outfile_prefix: str | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        for key, value, known in (
            ("score_mode", score_mode, ("bbox", "bbox_keypoint")),
            ("nms_mode", nms_mode, ("oks_nms", "none")),
        ):
            if value not in known:
                raise ConfigError(
                    f"{type(self).__name__}: {key} is one of {', '.join(known)}, found {value!r}."
                )
        self.ann_file = ann_file
        self.metainfo = parse_metainfo(metainfo or self.KEYPOINTS)
        self.category = category
        self.score_mode = score_mode
        self.keypoint_score_thr = keypoint_score_thr
        self.nms_mode = nms_mode
        self.nms_thr = nms_thr
        self.use_area = use_area
        self.outfile_prefix = outfile_prefix

    def prepare(self, dataset: BaseDataset, sample: DataSample) -> list[str]:
        """Checks all that needs no prediction; returns the names of the figures.

        Args:
            dataset: What will be evaluated.
            sample: One of its samples.

        Raises:
            ConfigError: If the keypoints or the category of the dataset are not those of the
                metric, or the samples lack something.
            DataError: If the annotation file cannot be used, or lacks an image of the dataset.
        """
        needed = ("img_id", "id", "bbox_score", "warp_matrix", "size_hw")
        missing = [key for key in needed if key not in sample.metainfo]
        if missing:
            raise ConfigError(
                f"{type(self).__name__} needs {', '.join(missing)}, which the samples of "
                f"{type(dataset).__name__} lack. Use a CocoDataset, and TopdownAffine with Warp."
            )
        keypoints = tuple(dataset.metainfo["keypoints"])
        if keypoints != self.metainfo.keypoints:
            raise ConfigError(
                f"{type(self).__name__}: the dataset has {len(keypoints)} keypoints, others than "
                f"the {self.metainfo.num_keypoints} of {self.metainfo.name}. Give model.metainfo "
                "and the metric's metainfo the same set."
            )
        parts = self._parts()
        annotated = self._open_truth()
        theirs = getattr(dataset, "category_id", annotated.category_id)
        if theirs != annotated.category_id:
            raise ConfigError(
                f"{type(self).__name__}: people are of the category {annotated.category_id!r}, but "
                f"those of the dataset of {theirs!r}. Give both the same category."
            )
        truth = Truth.of(annotated, self.use_area)
        records = [dataset.get_data_info(i) for i in range(len(dataset))]
        truth.check_images(record["img_id"] for record in records)
        truth.warn_of_people(records)
        names = [name if part == "whole" else f"{part} {name}" for part in parts for name in STATS]
        return [f"{self.prefix}/{name}" for name in names]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keeps the predictions of a batch.

        Args:
            data_batch: Not used.
            data_samples: Dicts of one person each, with ``img_id``, ``id``, ``bbox_score``,
                ``warp_matrix`` and ``size_hw`` of the crop, and ``pred_instances``.
        """
        num_keypoints = self.metainfo.num_keypoints
        for sample in data_samples:
            people = sample["pred_instances"]
            if people["keypoints"].shape[1] != num_keypoints:
                raise ConfigError(
                    f"{type(self).__name__}: the model predicts {people['keypoints'].shape[1]} "
                    f"keypoints, but {self.metainfo.name} has {num_keypoints}. Give model.metainfo "
                    "and the metric's metainfo the same set."
                )
            points = people["keypoints"][0].numpy(), people["keypoint_scores"][0].numpy()
            if not all(values.isfinite().all() for values in people.values()):
                raise NonFiniteError(
                    f"{type(self).__name__}: NaN or infinity in the prediction of a person of "
                    f"image id {sample['img_id']!r}."
                )
            height, width = sample["size_hw"]
            zoom = abs(np.linalg.det(sample["warp_matrix"][:, :2]))
            self.results.append(
                {
                    "img_id": sample["img_id"],
                    "id": sample["id"],
                    "bbox_score": float(np.asarray(sample["bbox_score"]).item()),
                    "area": float((width - 1) * (height - 1) / zoom),  # pixels of the image
                    "points": np.column_stack(points).astype(np.float64),  # x, y, score
                }
            )

    def evaluate(self, size: int) -> dict[str, float]:
        """Gathers the predictions of all ranks and computes the figures; ``size`` is not needed."""
        gathered = [result for part in all_gather_object(self.results) for result in part]
        self.results.clear()
        figures: list[dict[str, float]] = [{}]
        if is_main_process():
            metrics = self.compute_metrics(gathered)
            figures = [{f"{self.prefix}/{name}": value for name, value in metrics.items()}]
        broadcast_object_list(figures)
        return figures[0]

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Computes the figures of all predictions, and logs them as a table.

        Returns:
            The ten of the whole, ``AP`` first, then those of each part as ``"body AP"`` and so on.

        Raises:
            DataError: If the annotation file cannot be used, or lacks an image that was predicted.
        """
        metainfo = self.metainfo
        parts, sigmas = self._parts(), np.array(metainfo.sigmas)
        annotated = self._open_truth()
        truth = Truth.of(annotated, self.use_area)
        truth.check_images(result["img_id"] for result in results)
        people = self._select(results, sigmas)
        self._write_results(people, annotated)
        body = list(metainfo.groups.get("body", range(metainfo.num_keypoints)))
        found = [_detection(person, body) for person in people]
        figures = {
            part: average_precision(
                _of(truth.people, ids), _of(found, ids), truth.image_ids, sigmas[ids]
            )
            for part, ids in parts.items()
        }
        self._log(figures)
        return {
            name if part == "whole" else f"{part} {name}": value
            for part, values in figures.items()
            for name, value in values.items()
        }

    def _parts(self) -> dict[str, list[int]]:
        """What is evaluated -> ids of its keypoints."""
        metainfo = self.metainfo
        if not metainfo.sigmas:
            raise ConfigError(
                f"{type(self).__name__}: the metainfo {metainfo.name!r} has no sigmas, so there is "
                "no similarity. Give one a keypoint (0.05 is that of a coarse body joint)."
            )
        missing = [group for group in self.PARTS if group not in metainfo.groups]
        if missing:
            raise ConfigError(
                f"{type(self).__name__}: the metainfo {metainfo.name!r} has no group "
                f"{', '.join(missing)}; use CocoMetric, which needs none."
            )
        # COCO-WholeBody calls the parts "lefthand" and "righthand".
        parts = {group.replace("_", ""): list(metainfo.groups[group]) for group in self.PARTS}
        return {"whole": list(range(metainfo.num_keypoints)), **parts}

    def _open_truth(self) -> AnnotationFile:
        return AnnotationFile(self.ann_file, self.KEYPOINTS, self.metainfo, self.category)

    def _select(self, results: list[dict], sigmas: NDArray) -> list[dict]:
        """Scores people, and leaves out repetitions; adds ``score``."""
        by_image: dict[Id, dict[int, dict]] = defaultdict(dict)
        for result in results:
            by_image[result["img_id"]].setdefault(result["id"], result)
        selected = []
        for _, found in sorted(by_image.items(), key=lambda item: id_order(item[0])):
            people = [person for _, person in sorted(found.items())]
            scores = np.array([person["bbox_score"] for person in people])
            points = np.stack([person["points"] for person in people])
            if self.score_mode == "bbox_keypoint":
                scores = rescore(scores, points[..., 2], self.keypoint_score_thr)
            kept: Sequence[int] = range(len(people))
            if self.nms_mode == "oks_nms":
                areas = np.array([person["area"] for person in people])
                kept = oks_nms(points[..., :2], scores, areas, sigmas, self.nms_thr)
            selected += [{**people[i], "score": float(scores[i])} for i in kept]
        return selected

    def _write_results(self, people: list[dict], annotated: AnnotationFile) -> None:
        if self.outfile_prefix is None:
            return
        path = Path(f"{self.outfile_prefix}.keypoints.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            result_row(
                person["img_id"],
                person["score"],
                annotated.in_order(person["points"]),
                self.metainfo,
                annotated.category_id,
            )
            for person in people
        ]
        path.write_text(json.dumps(rows, allow_nan=False), encoding="utf-8")

    def _log(self, figures: dict[str, dict[str, float]]) -> None:
        rows = [
            [part, *(f"{values[name]:.3f}" for name in STATS)] for part, values in figures.items()
        ]
        table = format_table(["keypoints", *STATS], rows)
        MMLogger.get_current_instance().info(f"{self.prefix}:\n{table}")


@METRICS.register_module()
class CocoWholeBodyMetric(CocoMetric):
    """The same for COCO-WholeBody: the whole, and body, foot, face, lefthand and righthand."""

    default_prefix = "coco-wholebody"
    KEYPOINTS = "coco_wholebody"
    PARTS = ("body", "foot", "face", "left_hand", "right_hand")


@METRICS.register_module()
class GoliathMetric(CocoWholeBodyMetric):
    """The same for Goliath: the whole of 308, and its parts."""

    default_prefix = "goliath"
    KEYPOINTS = "goliath"


def _of(people: list[dict], ids: list[int]) -> list[dict]:
    """People for pycocotools, with these of their keypoints (K, 3)."""
    return [{**person, "keypoints": person["keypoints"][ids].ravel().tolist()} for person in people]


def _detection(person: dict, body: list[int]) -> dict:
    """A prediction; as in the release, the area is that of the body's extent."""
    width, height = np.ptp(person["points"][body, :2], axis=0)
    return {
        "image_id": person["img_id"],
        "score": person["score"],
        "area": float(width * height),
        "keypoints": person["points"],
    }
