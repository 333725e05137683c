"""Dense predictions of each person: cut out with a margin, predicted, and laid over one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.structures import PixelData
from numpy.typing import NDArray
from torch import Tensor

from engine.data.geometry import SizeHW
from engine.data.packing import collate_samples
from engine.data.sample import DataSample
from engine.errors import ConfigError, NonFiniteError
from engine.infer import Failure, InputImage
from engine.infer.people import BoxSource, Cut, Predict, boxes_within, predict_cut_images
from engine.infer.predict import image_pipeline
from seg.dense import DenseModel
from seg.foreground import Foreground

MARGIN = 1.25
"""Factor of a box's width and height; that of the keypoint models."""

Part = tuple[slice, slice, slice]
"""Channels, all of them, rows and columns."""
EVERYTHING: Part = (slice(None), slice(None), slice(None))


class DenseOfImage(NamedTuple):
    """What was predicted of the people of an image.

    Attributes:
        image: The file.
        sample: With the model's prediction at the size of the image, zero outside all boxes, and
            ``mask`` (1, H, W) uint8, 1 inside them, and on the foreground, if that is asked for.
        pixels: The image (H, W, 3) uint8 BGR.
    """

    image: InputImage
    sample: DataSample
    pixels: NDArray


class _Person(NamedTuple):
    """A packed crop, and where the pixels of the box are in it and in the image."""

    packed: dict[str, Any]
    in_crop: Part
    in_image: Part


@dataclass(frozen=True)
class _People:
    """Those of an image of a size, from behind to the front; and the image, packed for a mask."""

    size_hw: SizeHW
    persons: list[_Person]
    for_mask: dict[str, Any] | None

    def __len__(self) -> int:
        return len(self.persons)


def predict_maps(
    model: DenseModel,
    cfg: Config,
    images: Sequence[InputImage],
    find_boxes: BoxSource | None,
    batch_size: int = 1,
    num_workers: int = 2,
    margin: float = MARGIN,
    foreground: Foreground | None = None,
) -> Iterator[DenseOfImage | Failure]:
    """Predicts everybody in images, in order of the images.

    A person's box is enlarged by the margin, and to the aspect ratio of the network's input; what
    of that lies outside the image is black. The model predicts this crop as it predicts an image,
    and the pixels inside the box are taken. Where boxes overlap, the one of the higher score, or
    the first of equal ones, lies on top; see :meth:`seg.dense.DenseModel.lay_over`.

    Args:
        model: From :func:`engine.infer.init_model`.
        cfg: Its config; of its test dataset the :func:`engine.infer.predict.image_pipeline` is
            used.
        images: The files; sizes may be mixed.
        find_boxes: Where the people are; None for whole images, as they are.
        batch_size: People a forward pass.
        num_workers: Processes that read images, find people and cut them out.
        margin: Factor of a box's width and height, at least 1.
        foreground: Of the same decoded image, whole, predicts what the masks are cut to.

    Yields:
        What was predicted of an image; and what failed, an image or a box of one.

    Raises:
        ConfigError: If the margin is less than 1, or the model keeps probabilities.
    """
    cut, predict = how_to_predict(model, cfg, find_boxes, margin, foreground)
    for item in predict_cut_images(images, cut, predict, batch_size, num_workers):
        if isinstance(item, Failure):
            yield item
        else:
            yield DenseOfImage(item[0].image, item[1], item[0].pixels.numpy())


def how_to_predict(
    model: DenseModel,
    cfg: Config,
    find_boxes: BoxSource | None,
    margin: float = MARGIN,
    foreground: Foreground | None = None,
) -> tuple[Cut[_People], Predict[_People, DataSample]]:
    """Returns what cuts people out of images, and what predicts them: see :func:`predict_maps`.

    Raises:
        ConfigError: If the margin is less than 1, or the model keeps probabilities.
    """
    check_people(cfg, margin)
    pipeline = Compose(image_pipeline(cfg))
    for_mask = Compose(image_pipeline(foreground.cfg)) if foreground else None
    cut = _Cut(pipeline, find_boxes, margin, model.backbone.img_size_hw, for_mask)
    return cut, partial(_predict_images, model, foreground)


def check_people(cfg: Config, margin: float = MARGIN) -> None:
    """Checks that a model can predict people one by one.

    Raises:
        ConfigError: If the margin is less than 1, or the model keeps probabilities.
    """
    if not isinstance(margin, Real) or not 1 <= margin < np.inf:
        raise ConfigError(f"the margin of boxes is a factor of at least 1; found {margin!r}.")
    if cfg.model.get("keep_probabilities"):
        raise ConfigError(
            "probabilities (model.keep_probabilities) are of whole images, as those of people who "
            "overlap cannot be laid over one another. Leave them out, or the boxes."
        )


@dataclass(frozen=True)
class _Cut:
    """Finds the people of an image and cuts them out."""

    pipeline: Compose
    find_boxes: BoxSource | None
    margin: float
    input_hw: SizeHW
    for_mask: Compose | None

    def __call__(self, image_bgr: NDArray, image: InputImage) -> tuple[_People, list[str]]:
        size_hw, name = (image_bgr.shape[0], image_bgr.shape[1]), image.path.name
        for_mask = pack(self.for_mask, image_bgr, name) if self.for_mask else None
        if self.find_boxes is None:
            persons = [_Person(pack(self.pipeline, image_bgr, name), EVERYTHING, EVERYTHING)]
            return _People(size_hw, persons, for_mask), []
        found = self.find_boxes(image_bgr, image.name)
        boxes, bad_boxes = boxes_within(found, size_hw, name)
        to_front = np.argsort(-boxes[:, 4], kind="stable")[::-1]
        persons = [self.person(image_bgr, box, name) for box in boxes[to_front, :4]]
        return _People(size_hw, persons, for_mask), bad_boxes

    def person(self, image_bgr: NDArray, box_xyxy: NDArray, name: str) -> _Person:
        """Cuts out a person."""
        size_hw = image_bgr.shape[0], image_bgr.shape[1]
        ratio = self.input_hw[1] / self.input_hw[0]
        (x1, y1, x2, y2), (left, top, right, bottom) = place(box_xyxy, size_hw, ratio, self.margin)
        crop = cut_out(image_bgr, (left, top, right, bottom))
        in_crop = slice(None), slice(y1 - top, y2 - top), slice(x1 - left, x2 - left)
        in_image = slice(None), slice(y1, y2), slice(x1, x2)
        return _Person(pack(self.pipeline, crop, name), in_crop, in_image)


def pack(pipeline: Compose, image_bgr: NDArray, name: str) -> dict[str, Any]:
    """Returns the packed sample of an image (H, W, 3) uint8."""
    sample = {"img": image_bgr, "img_path": name, "metainfo": {}}
    return pipeline({**sample, "rng": np.random.default_rng(0)})


def place(
    box_xyxy: NDArray, size_hw: SizeHW, ratio: float, margin: float
) -> tuple[list[int], list[int]]:
    """Returns the pixels of a box, and those of its crop, each as left, top, right, bottom.

    Args:
        box_xyxy: (4,), pixels; what lies outside the image does not count.
        size_hw: Of the image.
        ratio: Width by height of the crop, to which it is enlarged.
        margin: Factor of the box's width and height before that.
    """
    first, last = np.asarray(box_xyxy, np.float64).reshape(2, 2).clip(0, size_hw[::-1])
    extent_wh = (last - first) * margin
    extent_wh = np.maximum(extent_wh, extent_wh[::-1] * (ratio, 1 / ratio))
    center = (first + last) / 2
    inner_first, inner_last = np.floor(first), np.ceil(last)
    # Of whole pixels, among them those of the box, whatever rounding has made of its center.
    outer_first = np.minimum(inner_first, np.floor(center - extent_wh / 2))
    outer_last = np.maximum(inner_last, np.ceil(center + extent_wh / 2))
    inner, outer = (inner_first, inner_last), (outer_first, outer_last)
    return np.concatenate(inner).astype(int).tolist(), np.concatenate(outer).astype(int).tolist()


def cut_out(image: NDArray, crop: Sequence[int]) -> NDArray:
    """Cuts left, top, right, bottom out of an image (H, W, 3); black outside it, as in ``Warp``."""
    left, top, right, bottom = crop
    height, width = image.shape[:2]
    borders = max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)
    shown = image[max(top, 0) : bottom, max(left, 0) : right]
    return cv2.copyMakeBorder(shown, *borders, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def _predict_images(
    model: DenseModel, foreground: Foreground | None, images: Sequence[_People], batch_size: int
) -> list[DataSample]:
    """Predicts the people of several images together."""
    for_masks = [people.for_mask for people in images if people.for_mask is not None]
    masks = foreground.masks(for_masks, batch_size) if foreground else [None] * len(images)
    persons = [person for people in images for person in people.persons]
    predicted = _predict_persons(model, persons, batch_size)
    return [
        _lay_out(model, people, predicted, mask) for people, mask in zip(images, masks, strict=True)
    ]


def _predict_persons(
    model: DenseModel, persons: Sequence[_Person], batch_size: int
) -> Iterator[Tensor]:
    """Yields the prediction (C, h, w) for each person's box, on the CPU.

    Raises:
        NonFiniteError: If it holds NaN or infinity.
    """
    for start in range(0, len(persons), batch_size):
        batch = persons[start : start + batch_size]
        samples = model.test_step(collate_samples([person.packed for person in batch]))
        for person, sample in zip(batch, samples, strict=True):
            values = sample.get(model.prediction).data[person.in_crop]
            if not values.isfinite().all():
                raise NonFiniteError("NaN or infinity in the prediction of a person")
            yield values.cpu()


def _lay_out(
    model: DenseModel, people: _People, predicted: Iterator[Tensor], foreground: Tensor | None
) -> DataSample:
    """Lays an image's people over one another, as :class:`DenseOfImage` has them."""
    everybody = model.empty_map(people.size_hw)
    mask = torch.zeros(1, *people.size_hw, dtype=torch.uint8)
    for person in people.persons:
        behind = everybody[person.in_image]
        everybody[person.in_image] = model.lay_over(behind, next(predicted))
        mask[person.in_image] = 1
    sample = DataSample(metainfo={"ori_size_hw": people.size_hw})
    sample.set_field(PixelData(data=everybody), model.prediction)
    sample.mask = PixelData(data=mask if foreground is None else mask * foreground)
    return sample
