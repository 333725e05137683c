"""Everybody's keypoints in images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from engine.data.packing import collate_samples
from engine.data.sample import DataSample
from engine.errors import NonFiniteError
from engine.infer import Failure, InputImage
from engine.infer.people import (
    Boxes,
    BoxSource,
    Cut,
    Predict,
    boxes_within,
    predict_cut_images,
)
from engine.model.base import BaseModel

Crops = list[dict[str, Any]]
"""Packed samples, one a person."""


class PeopleOfImage(NamedTuple):
    """What was found in an image.

    Attributes:
        image: The file.
        sample: With ``img_path``, relative to the input, and ``pred_instances`` of all people, in
            pixels of the image: ``keypoints``, ``keypoint_scores``, ``bboxes`` and ``bbox_scores``.
        pixels: The image (H, W, 3) uint8 BGR.
    """

    image: InputImage
    sample: DataSample
    pixels: NDArray


def crop_people(
    pipeline: Compose, image_bgr: NDArray, boxes: Boxes, name: str
) -> tuple[Crops, list[str]]:
    """Cuts people out of an image.

    Args:
        pipeline: Of the test dataset.
        image_bgr: (H, W, 3) uint8.
        boxes: (N, 5).
        name: Of the image, for the sentences.

    Returns:
        The people; and a sentence for each box that is left out, as it has no area in the image.
    """
    good, bad = boxes_within(boxes, (image_bgr.shape[0], image_bgr.shape[1]), name)
    sample = {"img": image_bgr, "img_path": name, "metainfo": {}}
    crops = [
        pipeline(
            {
                **sample,
                "bbox": box[None, :4],
                "bbox_score": box[4:],
                "rng": np.random.default_rng(0),
            }
        )
        for box in good
    ]
    return crops, bad


def predict_crops(model: BaseModel, crops: Crops, batch_size: int) -> InstanceData:
    """Predicts people in batches; see :class:`PeopleOfImage` for what of them is returned.

    Raises:
        NonFiniteError: If a keypoint or a score is NaN or infinite.
    """
    samples: list[DataSample] = []
    for start in range(0, len(crops), batch_size):
        with torch.inference_mode():
            samples += model.test_step(collate_samples(crops[start : start + batch_size]))
    boxes = [np.asarray([*sample.bbox_xyxy, *sample.bbox_score], np.float32) for sample in samples]
    stacked = torch.from_numpy(np.array(boxes, np.float32).reshape(-1, 5))
    found = [sample.pred_instances for sample in samples]
    values = [value for people in found for value in (people.keypoints, people.keypoint_scores)]
    if not all(value.isfinite().all() for value in values):
        raise NonFiniteError("NaN or infinity in the prediction of a person")
    nobody = torch.zeros(0, model.metainfo.num_keypoints, 2)
    return InstanceData(
        keypoints=torch.cat([nobody, *(people.keypoints for people in found)]),
        keypoint_scores=torch.cat([nobody[..., 0], *(people.keypoint_scores for people in found)]),
        bboxes=stacked[:, :4],
        bbox_scores=stacked[:, 4],
    )


def predict_people(
    model: BaseModel,
    cfg: Config,
    images: Sequence[InputImage],
    find_boxes: BoxSource,
    batch_size: int = 8,
    num_workers: int = 2,
) -> Iterator[PeopleOfImage | Failure]:
    """Predicts everybody in images, in order of the images.

    Args:
        model: From :func:`engine.infer.init_model`.
        cfg: Its config; the pipeline of its test dataset cuts people out.
        images: The files; sizes may be mixed.
        find_boxes: Where the people are.
        batch_size: People a forward pass.
        num_workers: Processes that read images, find people and cut them out.

    Yields:
        What was found in an image; and what failed, an image or a box of one, as a
        :class:`engine.infer.Failure`.
    """
    cut, predict = how_to_predict(model, cfg, find_boxes)
    for item in predict_cut_images(images, cut, predict, batch_size, num_workers):
        if isinstance(item, Failure):
            yield item
            continue
        of_image, people = item
        image = of_image.image
        sample = DataSample(metainfo={"img_path": image.name}, pred_instances=people)
        yield PeopleOfImage(image, sample, of_image.pixels.numpy())


def how_to_predict(
    model: BaseModel, cfg: Config, find_boxes: BoxSource
) -> tuple[Cut[Crops], Predict[Crops, InstanceData]]:
    """Returns what cuts people out of images, and what predicts them."""
    cut = _Cut(Compose(list(cfg.test_dataloader.dataset.pipeline)), find_boxes)
    return cut, partial(_predict_images, model)


def _predict_images(
    model: BaseModel, crops_of_images: Sequence[Crops], batch_size: int
) -> list[InstanceData]:
    """Predicts the people of several images together."""
    crops = [crop for crops in crops_of_images for crop in crops]
    everybody, found, start = predict_crops(model, crops, batch_size), [], 0
    for crops in crops_of_images:
        found.append(everybody[start : start + len(crops)] if len(everybody) else everybody)
        start += len(crops)
    return found


@dataclass(frozen=True)
class _Cut:
    """Finds the people of an image and cuts them out."""

    pipeline: Compose
    find_boxes: BoxSource

    def __call__(self, image_bgr: NDArray, image: InputImage) -> tuple[Crops, list[str]]:
        boxes = self.find_boxes(image_bgr, image.name)
        return crop_people(self.pipeline, image_bgr, boxes, image.path.name)
