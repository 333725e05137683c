"""Videos: frame after frame, with everybody's id."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from engine.infer import Failure, InputImage, try_predict
from engine.infer.video import Frame, VideoReader, is_video, job
from engine.infer.video.job import Shown, VideoTask
from engine.model.base import BaseModel
from pose.infer.boxes import BoxSource
from pose.infer.formats import Picture
from pose.infer.people import Crops, crop_people, predict_crops
from pose.infer.smoothing import KeypointSmoother
from pose.infer.tracking import Tracker
from pose.infer.writer import PoseWriter

__all__ = ["PeopleOfVideo", "is_video", "predict_video"]


def predict_video(
    model: BaseModel,
    cfg: Config,
    path: Path,
    find_boxes: BoxSource,
    writer: PoseWriter,
    out_dir: Path,
    batch_size: int = 8,
    smooth: bool = False,
    say: Callable[[str], None] | None = None,
) -> Generator[int | Failure, None, None]:
    """Predicts the people of a video: :func:`engine.infer.video.job.predict_video` says the rest.

    Args:
        model, cfg, find_boxes, writer, batch_size, smooth: See :class:`PeopleOfVideo`.
        path: The video.
        out_dir: Of the results.
        say: See :class:`engine.infer.video.VideoWriter`.
    """
    start = partial(PeopleOfVideo, model, cfg, find_boxes, writer, batch_size, smooth)
    return job.predict_video(InputImage(path, path.stem), out_dir, start, say)


class _Prepared(NamedTuple):
    """A frame, its people, and sentences on what failed."""

    frame: Frame
    crops: Crops
    failures: list[str]


class PeopleOfVideo(VideoTask):
    """Finds the people of a video, with ids that they keep.

    ``<stem>.mp4`` shows everybody, drawn, and ``<stem>.json`` holds them; they are the writer's
    outputs ``picture`` and ``json``, of each only if it has that.

    The JSON holds ``{"meta": {"video", "width", "height", "fps", "keypoint_set"}, "frames":
    [{"frame_id", "time_s", "instances": [...]}]}``; instances as in :class:`pose.infer.PoseWriter`,
    with ``"track_id"``, the same for a person in all frames. Where something failed, a frame also
    has ``"failures"``, a list of sentences. For other formats see :mod:`pose.infer.formats`.

    People of several frames share a batch.

    Args:
        model: From :func:`engine.infer.init_model`.
        cfg: Its config.
        find_boxes: Where the people are; frame 7 is called ``clip.mp4#7``.
        writer: Draws, and says of which format the JSON is.
        batch_size: People a forward pass.
        smooth: Take the jitter of keypoints away: :class:`pose.infer.smoothing.KeypointSmoother`.
        source: The video, and what its results are called.
        video: Its frames.
    """

    def __init__(
        self,
        model: BaseModel,
        cfg: Config,
        find_boxes: BoxSource,
        writer: PoseWriter,
        batch_size: int,
        smooth: bool,
        source: InputImage,
        video: VideoReader,
    ) -> None:
        self.model, self.find_boxes, self.writer = model, find_boxes, writer
        self.batch_size, self.source, self.video = batch_size, source, video
        self.draws = writer.film in writer.outputs
        self._pipeline = Compose(list(cfg.test_dataloader.dataset.pipeline))
        threshold = writer.pen.kpt_thr
        self._tracker = Tracker(writer.metainfo.sigmas, kpt_thr=threshold)
        self._smoother = KeypointSmoother(kpt_thr=threshold) if smooth else None

    def prepare(self, frames: Iterable[Frame]) -> Iterator[_Prepared]:
        """Cuts out the people of frames; what fails there must not end the video."""
        for frame in frames:
            name = self._name(frame)
            if frame.pixels is None:
                reason = f"{name} is damaged: it cannot be decoded, or is of another size."
                yield _Prepared(frame, [], [reason])
                continue
            try:
                boxes = self.find_boxes(frame.pixels, name)
                yield _Prepared(frame, *crop_people(self._pipeline, frame.pixels, boxes, name))
            except Exception as error:
                yield _Prepared(frame, [], [f"{name}: {type(error).__name__}: {error}"])

    def predict(
        self, prepared: Iterable[_Prepared]
    ) -> Iterator[tuple[Frame, tuple[InstanceData, list[str]]]]:
        """Predicts the people of several frames together."""
        for (frame, _, failures), people in _predict(self.model, prepared, self.batch_size):
            if isinstance(people, Exception):
                failures.append(f"{self._name(frame)}: {type(people).__name__}: {people}")
                people = predict_crops(self.model, [], 1)
            yield frame, (people, failures)

    def show(self, frame: Frame, predicted: tuple[InstanceData, list[str]]) -> Shown:
        """Says who is who, and draws; a damaged frame is black."""
        people, failures = predicted
        _follow(people, frame.time_s, self._tracker, self._smoother)
        width, height = self.video.size_wh
        drawn = None
        if self.draws:
            pixels = frame.pixels
            if pixels is None:
                pixels = np.zeros((height, width, 3), np.uint8)
            drawn = self.writer.draw(people, pixels)
        # Arrays, as a tensor would take all of its batch along.
        picture = Picture(
            self._name(frame), (height, width), people.numpy(), frame.time_s, failures
        )
        return Shown(drawn, picture, failures)

    def content(self, rows: Iterable[Picture]) -> dict[str, Any] | None:
        """Returns the JSON in the writer's format."""
        if "json" not in self.writer.outputs:
            return None
        width, height = self.video.size_wh
        layout, name = self.writer.layout, self.source.path.name
        return layout.of_video(rows, (height, width), self.video.fps, name)

    def _name(self, frame: Frame) -> str:
        return f"{self.source.name}#{frame.number}"


def _predict(
    model: BaseModel, frames: Iterable[_Prepared], batch_size: int
) -> Iterator[tuple[_Prepared, InstanceData | Exception]]:
    """Predicts the people of several frames together."""
    waiting: list[_Prepared] = []
    for item in frames:
        waiting.append(item)
        if max(sum(len(item.crops) for item in waiting), len(waiting)) >= batch_size:
            yield from _predict_together(model, waiting, batch_size)
            waiting = []
    yield from _predict_together(model, waiting, batch_size)


def _predict_together(
    model: BaseModel, waiting: list[_Prepared], batch_size: int
) -> Iterator[tuple[_Prepared, InstanceData | Exception]]:
    """Predicts frames in one, or frame by frame and person by person if that fails."""
    crops = [crop for item in waiting for crop in item.crops]
    everybody = try_predict(lambda: predict_crops(model, crops, batch_size))
    if not isinstance(everybody, Exception):
        start = 0
        for item in waiting:
            end = start + len(item.crops)
            yield item, everybody[start:end] if crops else predict_crops(model, [], 1)
            start = end
    elif len(waiting) > 1:
        for item in waiting:
            yield from _predict_together(model, [item], batch_size)
    elif batch_size > 1:
        yield from _predict_together(model, waiting, 1)
    else:
        yield waiting[0], everybody


def _follow(
    people: InstanceData, time_s: float, tracker: Tracker, smoother: KeypointSmoother | None
) -> None:
    """Adds ``track_ids``, and smooths the keypoints; in place."""
    keypoints, scores = people.keypoints.numpy(), people.keypoint_scores.numpy()
    ids: NDArray = tracker.update(keypoints, scores, people.bboxes.numpy(), time_s)
    people.track_ids = torch.from_numpy(ids)
    if smoother is not None and len(ids):
        smoothed = [
            smoother.smooth(*row, time_s) for row in zip(ids, keypoints, scores, strict=True)
        ]
        people.keypoints = torch.from_numpy(np.stack(smoothed)).float()
