"""Videos: frame after frame, with everybody's id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from engine.data.geometry import SizeHW
from engine.errors import DataError
from engine.infer import Failure, InputImage, try_predict
from engine.infer.video import Ahead, Frame, VideoReader, VideoWriter, is_video
from engine.model.base import BaseModel
from pose.infer.boxes import BoxSource
from pose.infer.formats import Picture
from pose.infer.people import Crops, crop_people, predict_crops
from pose.infer.smoothing import KeypointSmoother
from pose.infer.tracking import Tracker
from pose.infer.writer import PoseWriter, write_json

__all__ = ["is_video", "predict_video"]


class _Prepared(NamedTuple):
    """A frame, its people, and sentences on what failed."""

    frame: Frame
    crops: Crops
    failures: list[str]


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
) -> Iterator[int | Failure]:
    """Writes ``<stem>.mp4`` with everybody drawn, and ``<stem>.json``; both when all is done.

    They are the writer's outputs ``picture`` and ``json``; of each only if it has that.

    The JSON holds ``{"meta": {"video", "width", "height", "fps", "keypoint_set"}, "frames":
    [{"frame_id", "time_s", "instances": [...]}]}``; instances as in :class:`pose.infer.PoseWriter`,
    with ``"track_id"``, the same for a person in all frames. Where something failed, a frame also
    has ``"failures"``, a list of sentences. For other formats see :mod:`pose.infer.formats`.

    Frames are decoded in one thread, people found and cut out in a second, pictures encoded in a
    third. People of several frames share a batch.

    Args:
        model: From :func:`engine.infer.init_model`.
        cfg: Its config.
        path: The video.
        find_boxes: Where the people are; frame 7 is called ``clip.mp4#7``.
        writer: Draws, and says of which format the JSON is.
        out_dir: Of the results.
        batch_size: People a forward pass.
        smooth: Take the jitter of keypoints away: :class:`pose.infer.smoothing.KeypointSmoother`.
        say: See :class:`engine.infer.video.VideoWriter`.

    Yields:
        The number of frames done, after each one; and what failed: a box, a frame, or the end of
        the video, if it came too early.

    Raises:
        DataError: If the video cannot be read.
        OutputError: If the result cannot be written.
    """
    target = out_dir / f"{path.stem}.mp4"
    if target.resolve() == path.resolve():
        raise DataError(f"{target} is the input and would be overwritten; choose another folder.")
    out_dir.mkdir(parents=True, exist_ok=True)
    pipeline = Compose(list(cfg.test_dataloader.dataset.pipeline))
    source, threshold = InputImage(path, path.stem), writer.pen.kpt_thr
    tracker = Tracker(writer.metainfo.sigmas, kpt_thr=threshold)
    smoother = KeypointSmoother(kpt_thr=threshold) if smooth else None
    pictures: list[Picture] = []
    with VideoReader(path) as video:
        width, height = video.size_wh
        prepare = Ahead(_find_people(pipeline, frame, find_boxes, path.name) for frame in video)
        draws = "picture" in writer.outputs
        drawing = VideoWriter(target, video.fps, say) if draws else nullcontext()
        with prepare as prepared, drawing as drawn:
            for (frame, _, failures), people in _predict(model, prepared, batch_size):
                name = f"{path.name}#{frame.number}"
                if isinstance(people, Exception):
                    failures.append(f"{name}: {type(people).__name__}: {people}")
                    people = predict_crops(model, [], 1)
                _follow(people, frame.time_s, tracker, smoother)
                if drawn is not None:
                    drawn.write(_draw(writer, people, frame, (height, width)), frame.time_s)
                pictures.append(Picture(name, (height, width), people, frame.time_s, failures))
                yield from (Failure(source, failure) for failure in failures)
                yield len(pictures)
        if (reason := video.early_end()) is not None:
            yield Failure(source, reason)
        content = writer.layout.of_video(pictures, (height, width), video.fps, path.name)
    if "json" in writer.outputs:
        write_json(out_dir / f"{path.stem}.json", content)


def _draw(writer: PoseWriter, people: InstanceData, frame: Frame, size_hw: SizeHW) -> NDArray:
    """The picture of a frame (H, W, 3) BGR; a damaged one is black."""
    pixels = np.zeros((*size_hw, 3), np.uint8) if frame.pixels is None else frame.pixels
    return cv2.cvtColor(writer.draw(people, pixels), cv2.COLOR_RGB2BGR)


def _find_people(pipeline: Compose, frame: Frame, find_boxes: BoxSource, video: str) -> _Prepared:
    """Cuts out the people of a frame; what fails there must not end the video."""
    name = f"{video}#{frame.number}"
    if frame.pixels is None:
        reason = f"{name} is damaged: it cannot be decoded, or is of another size."
        return _Prepared(frame, [], [reason])
    try:
        crops, failures = crop_people(pipeline, frame.pixels, find_boxes(frame.pixels, name), name)
    except Exception as error:
        return _Prepared(frame, [], [f"{name}: {type(error).__name__}: {error}"])
    return _Prepared(frame, crops, failures)


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
