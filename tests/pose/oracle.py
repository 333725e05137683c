"""An annotation file, and predictions of it that are the truth, through dataset and metric."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from pose.datasets import CocoDataset
from pose.geometry import udp_matrix
from pose.metainfo import COCO
from pose.metrics import CocoMetric

SIZE_HW = (64, 48)


def make_content(num_images: int = 3, num_people: int = 3) -> dict:
    """Returns an ordinary file of COCO's format; people are of 100 to 200 pixels."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image_id in range(1, num_images + 1):
        name = f"{image_id:012d}.jpg"
        images.append(dict(id=image_id, file_name=name, width=640, height=480))
        for _ in range(num_people):
            size = rng.uniform(100, 200, 2)
            corner = rng.uniform(5, np.array([640, 480]) - size - 5)
            points = np.column_stack([corner + size * rng.random((17, 2)), np.full(17, 2)])
            points[rng.random(17) < 0.2] = 0
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=1,
                    bbox=[*corner.tolist(), *size.tolist()],
                    area=float(size.prod() / 2),
                    iscrowd=0,
                    num_keypoints=int((points[:, 2] > 0).sum()),
                    keypoints=points.ravel().tolist(),
                )
            )
    person = dict(id=1, name="person", keypoints=list(COCO.keypoints), skeleton=[])
    return dict(info={}, images=images, annotations=annotations, categories=[person])


def predict_truth(dataset: CocoDataset) -> list[dict]:
    """What the evaluator hands over if a model finds every person where their record says."""
    samples = []
    for i in range(len(dataset)):
        record = dataset.get_data_info(i)
        scores = torch.ones(1, record["keypoints"].shape[1])
        people = dict(keypoints=torch.from_numpy(record["keypoints"]), keypoint_scores=scores)
        samples.append(
            dict(
                img_id=record["img_id"],
                id=record["id"],
                bbox_score=record["bbox_score"],
                warp_matrix=udp_matrix((100, 100), (30, 40), SIZE_HW[::-1]),
                size_hw=SIZE_HW,
                pred_instances=people,
            )
        )
    return samples


def oracle_ap(path: Path, category: int | str | None = None, **metric: object) -> float:
    """Returns the AP of predictions that are the truth.

    Raises:
        DataError: If the dataset or the metric refuses the file.
    """
    dataset = CocoDataset(str(path), category=category)
    evaluated = CocoMetric(str(path), category=category, nms_mode="none", **metric)
    evaluated.process(None, predict_truth(dataset))
    return evaluated.evaluate(len(dataset))["coco/AP"]


def write(content: object, folder: Path) -> Path:
    """Writes an annotation file."""
    path = folder / "people.json"
    path.write_text(json.dumps(content))
    return path
