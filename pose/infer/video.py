"""Videos: frame after frame, with everybody's id."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from engine.infer import Failure, InputImage
from engine.infer.video import VideoReader, is_video, job
from engine.infer.video.frames import PeopleOfFrames, PredictedFrame
from engine.infer.video.job import Shown, VideoTask
from engine.model.base import BaseModel
from pose.infer.boxes import BoxSource
from pose.infer.formats import Picture
from pose.infer.people import how_to_predict, predict_crops
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
        predictor = PeopleOfFrames(*how_to_predict(model, cfg, find_boxes), batch_size)
        super().__init__(predictor, source, video, draws=writer.film in writer.outputs)
        self.writer, self._nobody = writer, predict_crops(model, [], 1)
        threshold = writer.pen.kpt_thr
        self._tracker = Tracker(writer.metainfo.sigmas, kpt_thr=threshold)
        self._smoother = KeypointSmoother(kpt_thr=threshold) if smooth else None

    def show(self, predicted: PredictedFrame) -> Shown:
        """Says who is who, and draws; a damaged frame is black."""
        frame, people, failures = predicted.frame, predicted.found, [*predicted.bad_boxes]
        image = self.source.frame(frame)
        if isinstance(people, Failure):
            failures.append(f"{image.name}: {people.reason}")
            people = self._nobody.clone()
        _follow(people, frame.time_s, self._tracker, self._smoother)
        width, height = self.video.size_wh
        drawn = None
        if self.draws:
            pixels = frame.pixels
            if pixels is None:
                pixels = np.zeros((height, width, 3), np.uint8)
            drawn = self.writer.draw(people, pixels)
        # Arrays, as a tensor would take all of its batch along.
        picture = Picture(image.name, (height, width), people.numpy(), frame.time_s, failures)
        return Shown(drawn, picture, failures)

    def content(self, rows: Iterable[Picture]) -> dict[str, Any] | None:
        """Returns the JSON in the writer's format."""
        if "json" not in self.writer.outputs:
            return None
        width, height = self.video.size_wh
        layout, name = self.writer.layout, self.source.path.name
        return layout.of_video(rows, (height, width), self.video.fps, name)


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
