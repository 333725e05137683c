"""pycocotools' evaluation of keypoints, for any set of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

STATS = (
    "AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)",
)  # fmt: skip

MOST_PEOPLE = 20
"""How many predictions of an image count: its best ones."""


def average_precision(
    truths: Sequence[dict],
    detections: Sequence[dict],
    image_ids: Sequence[Any],
    sigmas: ArrayLike,
) -> dict[str, float]:
    """Average precision and recall over similarities of .50:.05:.95, by COCO's rules.

    Args:
        truths: ``image_id``, ``bbox`` (x, y, w, h), ``area``, ``iscrowd``, ``keypoints``, a list
            of x, y, v, and ``counts``. Those that do not count, and those without a labelled
            keypoint, are ignored: finding them is no mistake.
        detections: ``image_id``, ``score``, ``area`` (which says whether a detection without a
            truth is medium or large) and ``keypoints``, a list of x, y and anything.
        image_ids: Images that count, by any ids.
        sigmas: (K,), those of the metainfo.

    Returns:
        The ten figures by the names of STATS; -1 where there is no truth.
    """
    found = [
        {
            **truth,
            "num_keypoints": truth["counts"] and sum(v > 0 for v in truth["keypoints"][2::3]),
        }
        for truth in truths
    ]
    with redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        evaluation = COCOeval(
            _index(found, image_ids), _index(detections, image_ids), iouType="keypoints"
        )
        evaluation.params.kpt_oks_sigmas = np.asarray(sigmas, np.float64)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(STATS, map(float, evaluation.stats), strict=True))


def _index(annotations: Sequence[dict], image_ids: Sequence[Any]) -> COCO:
    """All as people, with ids from 1; images are numbered, as pycocotools sorts their ids."""
    numbers = {image_id: number for number, image_id in enumerate(image_ids)}
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in numbers.values()],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {**found, "id": number, "category_id": 1, "image_id": numbers[found["image_id"]]}
            for number, found in enumerate(annotations, start=1)
        ],
    }
    coco.createIndex()
    return coco
