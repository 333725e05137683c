"""People of images: each image is decoded once, and crops of several images share a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.infer.images import InputImage
from engine.infer.loader import loading
from engine.infer.predict import Failure, ImageFiles, try_predict

Boxes = NDArray[np.float32]
"""(N, 5): x1, y1, x2, y2 in pixels, and a score."""

BoxSource = Callable[[NDArray, str], Boxes]
"""Finds the people of an image: a detector, a file, or the whole image.

It gets the pixels (H, W, 3) uint8 BGR, and the path of the image relative to the input. It is
called in the processes that read images, so it must be picklable.
"""

C = TypeVar("C", bound=Sized)
"""What is cut out of an image; its length is the number of people."""
R = TypeVar("R")
"""What is predicted of an image."""


@dataclass(frozen=True, eq=False)
class CutImage(Generic[C]):
    """An image, its pixels (H, W, 3), its people, and sentences on boxes that are left out."""

    image: InputImage
    pixels: Tensor
    crops: C
    bad_boxes: list[str]


Cut = Callable[[NDArray, InputImage], tuple[C, list[str]]]
"""Finds the people of an image (H, W, 3) uint8 BGR and cuts them out; see :class:`CutImage`."""
Predict = Callable[[Sequence[C], int], Sequence[R]]
"""Predicts the people of images with so many of them a forward pass."""


def boxes_within(boxes: Boxes, size_hw: tuple[int, int], name: str) -> tuple[Boxes, list[str]]:
    """Returns the boxes (N, 5) that have an area in an image, and a sentence on each other one."""
    height, width = size_hw
    lower, upper = boxes[:, :2].clip(min=0), np.minimum(boxes[:, 2:4], (width, height))
    good = (upper > lower).all(axis=1) & np.isfinite(boxes).all(axis=1)
    bad = [
        f"{name}: the box ({x1:g}, {y1:g}, {x2:g}, {y2:g}), x1, y1, x2, y2, with score {score:g} "
        f"has no area within the image of {width}x{height} (width x height), or is not finite; it "
        "is left out."
        for x1, y1, x2, y2, score in boxes[~good]
    ]
    return boxes[good], bad


def predict_cut_images(
    images: Sequence[InputImage],
    cut: Cut[C],
    predict: Predict[C, R],
    batch_size: int,
    num_workers: int,
) -> Iterator[tuple[CutImage[C], R] | Failure]:
    """Predicts everybody in images, in order of the images.

    Args:
        images: The files; sizes may be mixed.
        cut: Called in the processes that read images, so it must be picklable.
        predict: See :func:`predict_cuts`.
        batch_size: People a forward pass.
        num_workers: Processes that read and cut.

    Yields:
        An image and what is predicted of it; and what failed, an image or a box of one.
    """
    with loading(_CutImages(images, cut), num_workers, None, _as_it_is) as cuts:
        for item in predict_cuts(cuts, predict, batch_size):
            if isinstance(item, Failure):
                yield item
                continue
            of_image, found = item
            yield from (Failure(of_image.image, reason) for reason in of_image.bad_boxes)
            if isinstance(found, Exception):
                yield Failure.of(of_image.image, found)
            else:
                yield of_image, found


def predict_cuts(
    cuts: Iterable[CutImage[C] | Failure], predict: Predict[C, R], batch_size: int
) -> Iterator[tuple[CutImage[C], R | Exception] | Failure]:
    """Predicts the people of several images together; yields an item for each, in their order.

    Args:
        cuts: Images whose people are cut out, or what failed of them.
        predict: If it fails, images and people are tried one by one.
        batch_size: People a forward pass.
    """
    waiting: list[CutImage[C]] = []
    for item in cuts:
        if not isinstance(item, Failure):
            waiting.append(item)
            # Images without people count, too, lest a thousand of them pile up.
            if max(sum(len(item.crops) for item in waiting), len(waiting)) < batch_size:
                continue
        yield from _predict_together(waiting, predict, batch_size)
        waiting = []
        if isinstance(item, Failure):
            yield item
    yield from _predict_together(waiting, predict, batch_size)


def _predict_together(
    waiting: Sequence[CutImage[C]], predict: Predict[C, R], batch_size: int
) -> Iterator[tuple[CutImage[C], R | Exception]]:
    """Predicts the people of several images together, or image by image if that fails."""
    crops = [item.crops for item in waiting]
    results = try_predict(lambda: predict(crops, batch_size))
    if isinstance(results, Exception) and batch_size > 1:
        results = try_predict(lambda: predict(crops, 1))
    if not isinstance(results, Exception):
        yield from zip(waiting, results, strict=True)
    elif len(waiting) == 1:
        yield waiting[0], results
    else:
        for item in waiting:
            yield from _predict_together([item], predict, batch_size)


def cut_image(image: InputImage, cut: Cut[C]) -> CutImage[C]:
    """Reads an image, finds its people and cuts them out."""
    pixels = image.read()
    crops, bad_boxes = cut(pixels, image)
    shared = torch.from_numpy(pixels)  # a tensor goes through shared memory
    return CutImage(image, shared, crops, bad_boxes)


class _CutImages(ImageFiles):
    """Reads an image, finds its people and cuts them out; an error becomes a Failure."""

    def __init__(self, images: Sequence[InputImage], cut: Cut[Any]) -> None:
        super().__init__(images, pipeline=())
        self.cut = cut

    def prepare(self, image: InputImage, index: int) -> CutImage[Any]:
        return cut_image(image, self.cut)


def _as_it_is(item: Any) -> Any:
    return item
