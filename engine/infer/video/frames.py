"""Frames of a video through a model: whole, in batches, or the people that are in them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, Generic, NamedTuple

from mmengine.config import Config

from engine.infer.images import InputImage
from engine.infer.people import C, Cut, CutImage, Predict, R, cut_image, predict_cuts
from engine.infer.predict import (
    Collated,
    Failure,
    ImageFiles,
    collate,
    image_pipeline,
    predict_batch,
)
from engine.infer.video.reader import Frame
from engine.model.base import BaseModel


class PredictedFrame(NamedTuple):
    """A frame, what is predicted of it, or why nothing is, and sentences on boxes left out."""

    frame: Frame
    found: Any | Failure
    bad_boxes: Sequence[str] = ()


class FramePredictor(ABC):
    """Predicts the frames of videos. Each step runs in a thread of its own.

    Attributes:
        num_ahead: How many of what :meth:`prepare` makes may wait for the model.
    """

    num_ahead: ClassVar[int] = 4

    @abstractmethod
    def prepare(self, source: InputImage, frames: Iterable[Frame]) -> Iterator[Any]:
        """Makes the frames of a video ready for the model, one by one or in batches."""

    @abstractmethod
    def predict(self, prepared: Iterable[Any]) -> Iterator[PredictedFrame]:
        """Predicts frames, in their order; what fails of one must not end the video."""


class WholeFrames(FramePredictor):
    """Predicts frames as images.

    Args:
        model: From :func:`engine.infer.init_model`.
        cfg: Its config.
        batch_size: Frames a forward pass.
    """

    num_ahead = 2  # batches

    def __init__(self, model: BaseModel, cfg: Config, batch_size: int) -> None:
        self.model, self.batch_size = model, batch_size
        self._images = ImageFiles((), image_pipeline(cfg))

    def prepare(
        self, source: InputImage, frames: Iterable[Frame]
    ) -> Iterator[tuple[list[InputImage], list[Frame], Collated]]:
        """Makes batches of frames."""
        frames = iter(frames)
        while batch := list(islice(frames, self.batch_size)):
            images = [source.frame(frame) for frame in batch]
            yield images, batch, collate(list(map(self._prepare, images)))

    def _prepare(self, image: InputImage) -> Any:
        if image.pixels is None:
            return damaged(image)
        return self._images.try_prepare(image, image.number or 0)

    def predict(
        self, prepared: Iterable[tuple[list[InputImage], list[Frame], Collated]]
    ) -> Iterator[PredictedFrame]:
        """Predicts batches."""
        for images, frames, collated in prepared:
            batch = predict_batch(self.model, collated)
            for image, frame, found in zip(images, frames, batch, strict=True):
                if isinstance(found, Exception):
                    found = Failure.of(image, found)
                yield PredictedFrame(frame, found)


class PeopleOfFrames(FramePredictor, Generic[C, R]):
    """Finds people in frames, and predicts those of several frames together.

    Args:
        cut: Finds the people of a frame; frame 7 is called ``clip.mp4#7``.
        predict: See :func:`engine.infer.people.predict_cuts`.
        batch_size: People a forward pass.
    """

    def __init__(self, cut: Cut[C], predict: Predict[C, R], batch_size: int) -> None:
        self.cut, self.predict_together, self.batch_size = cut, predict, batch_size

    def prepare(
        self, source: InputImage, frames: Iterable[Frame]
    ) -> Iterator[tuple[Frame, CutImage[C] | Failure]]:
        """Cuts out the people of frames."""
        for frame in frames:
            yield frame, self._try_cut(source.frame(frame))

    def _try_cut(self, image: InputImage) -> CutImage[C] | Failure:
        if image.pixels is None:
            return damaged(image)
        try:
            return cut_image(image, self.cut)
        except Exception as error:  # what fails of one frame must not end the video
            return Failure.of(image, error)

    def predict(
        self, prepared: Iterable[tuple[Frame, CutImage[C] | Failure]]
    ) -> Iterator[PredictedFrame]:
        """Predicts the people of several frames together."""
        frames: deque[Frame] = deque()

        def cuts() -> Iterator[CutImage[C] | Failure]:
            for frame, cut in prepared:
                frames.append(frame)
                yield cut

        for item in predict_cuts(cuts(), self.predict_together, self.batch_size):
            frame = frames.popleft()
            if isinstance(item, Failure):
                yield PredictedFrame(frame, item)
                continue
            cut, found = item
            failed = Failure.of(cut.image, found) if isinstance(found, Exception) else None
            yield PredictedFrame(frame, failed or found, cut.bad_boxes)


def damaged(image: InputImage) -> Failure:
    """What is said of a frame without pixels."""
    return Failure(image, "it is damaged: it cannot be decoded, or is of another size")
