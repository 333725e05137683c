"""Everybody's keypoints: an image is decoded once, and people of several images share a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from engine.data.packing import collate_samples
from engine.data.sample import DataSample
from engine.errors import NonFiniteError
from engine.infer import Failure, ImageFiles, InputImage, try_predict
from engine.model.base import BaseModel
from pose.infer.boxes import Boxes, BoxSource

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


class _Prepared(NamedTuple):
    """An image, its pixels (H, W, 3), its people, and sentences on boxes that are left out."""

    image: InputImage
    pixels: Tensor
    crops: Crops
    bad_boxes: list[str]


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
    height, width = image_bgr.shape[:2]
    lower, upper = boxes[:, :2].clip(min=0), np.minimum(boxes[:, 2:4], (width, height))
    good = (upper > lower).all(axis=1) & np.isfinite(boxes).all(axis=1)
    bad = [
        f"{name}: the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}), x1, y1, x2, y2, with score {score:g} "
        f"has no area within the image of {width}x{height} (width x height), or is not finite; it "
        "is left out."
        for x1, y1, x2, y2, score in boxes[~good]
    ]
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
        for box in boxes[good]
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


def try_crops(model: BaseModel, crops: Crops, batch_size: int) -> InstanceData | Exception:
    """Does :func:`predict_crops`, one by one if that fails; returns what that raises, too."""
    people = try_predict(lambda: predict_crops(model, crops, batch_size))
    if isinstance(people, Exception) and batch_size > 1:
        people = try_predict(lambda: predict_crops(model, crops, 1))
    return people


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
    loader = DataLoader(
        _People(images, cfg.test_dataloader.dataset.pipeline, find_boxes),
        batch_size=None,
        num_workers=min(num_workers, len(images)),
        collate_fn=_as_it_is,
    )
    waiting: list[_Prepared] = []
    for item in loader:
        if isinstance(item, Failure):
            yield from _predict_together(model, waiting, batch_size)
            waiting = []
            yield item
            continue
        waiting.append(item)
        if sum(len(item.crops) for item in waiting) >= batch_size:
            yield from _predict_together(model, waiting, batch_size)
            waiting = []
    yield from _predict_together(model, waiting, batch_size)


def _predict_together(
    model: BaseModel, waiting: list[_Prepared], batch_size: int
) -> Iterator[PeopleOfImage | Failure]:
    """Predicts the people of several images together, or image by image if that fails."""
    crops = [crop for item in waiting for crop in item.crops]
    everybody = try_crops(model, crops, batch_size)
    if isinstance(everybody, Exception) and len(waiting) > 1:
        for item in waiting:
            yield from _predict_together(model, [item], batch_size)
        return
    if isinstance(everybody, Exception):
        yield from (Failure(waiting[0].image, reason) for reason in waiting[0].bad_boxes)
        yield Failure.of(waiting[0].image, everybody)
        return
    start = 0
    for image, pixels, crops, bad_boxes in waiting:
        yield from (Failure(image, reason) for reason in bad_boxes)
        people = everybody[start : start + len(crops)] if len(everybody) else everybody
        start += len(crops)
        sample = DataSample(metainfo={"img_path": image.name}, pred_instances=people)
        yield PeopleOfImage(image, sample, pixels.numpy())


class _People(ImageFiles):
    """Reads an image, finds its people and cuts them out; an error becomes a Failure."""

    def __init__(
        self, images: Sequence[InputImage], pipeline: Sequence[dict], find_boxes: BoxSource
    ) -> None:
        super().__init__(images, pipeline)
        self.find_boxes = find_boxes

    def prepare(self, image: InputImage, index: int) -> _Prepared:
        pixels = image.read()
        boxes = self.find_boxes(pixels, image.name)
        crops, bad_boxes = crop_people(self.pipeline, pixels, boxes, image.path.name)
        shared = torch.from_numpy(pixels)  # a tensor goes through shared memory
        return _Prepared(image, shared, crops, bad_boxes)


def _as_it_is(item: Any) -> Any:
    return item
