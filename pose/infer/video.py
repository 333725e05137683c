"""Videos: frame after frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from numpy.typing import NDArray

from engine.errors import DataError
from engine.infer import Failure, InputImage
from engine.model.base import BaseModel
from pose.infer.boxes import BoxSource
from pose.infer.people import Crops, crop_people, predict_crops, try_crops
from pose.infer.video_file import VideoFile
from pose.infer.writer import PoseWriter, as_lists, write_json

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")


def is_video(source: str) -> bool:
    """Whether --input names a video file."""
    return Path(source).suffix.lower() in VIDEO_SUFFIXES and Path(source).is_file()


def predict_video(
    model: BaseModel,
    cfg: Config,
    path: Path,
    find_boxes: BoxSource,
    writer: PoseWriter,
    out_dir: Path,
    batch_size: int = 8,
) -> Iterator[int | Failure]:
    """Writes ``<stem>.mp4`` with everybody drawn, and ``<stem>.json``.

    The JSON holds ``{"meta": {"video", "width", "height", "fps", "keypoint_set"}, "frames":
    [{"instances": [...]}, ...]}``; instances as in :class:`pose.infer.PoseWriter`. Where something
    failed, a frame also has ``"failures"``, a list of sentences. Frames of an odd size are drawn
    with a row or a column more, as MP4 takes even ones only.

    Yields:
        The number of frames done, after each one; and what failed: a box, a frame, or the end of
        the video, if it came too early.

    Raises:
        DataError: If the video cannot be read, or the result cannot be written.
    """
    video = VideoFile(path)
    width, height = video.size_wh
    target = out_dir / f"{path.stem}.mp4"
    if target.resolve() == path.resolve():
        raise DataError(f"{target} is the input and would be overwritten; choose another folder.")
    out_dir.mkdir(parents=True, exist_ok=True)
    even_wh = (width + width % 2, height + height % 2)
    drawn = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), video.fps, even_wh)
    if not drawn.isOpened():
        raise DataError(f"{target} cannot be written: OpenCV has no encoder for mp4v.")
    pipeline = Compose(list(cfg.test_dataloader.dataset.pipeline))
    meta = {"video": path.name, "width": width, "height": height, "fps": video.fps}
    meta["keypoint_set"] = writer.metainfo.name
    frames: list[dict] = []
    source = InputImage(path, path.stem)
    try:
        for frame in video:
            name = f"{path.name}#{len(frames)}"
            crops, failures = _find_people(pipeline, frame, find_boxes, name)
            people = try_crops(model, crops, batch_size)
            if isinstance(people, Exception):
                failures.append(f"{name}: {type(people).__name__}: {people}")
                people = predict_crops(model, [], 1)
            image = np.zeros((height, width, 3), np.uint8) if frame is None else frame
            picture = cv2.cvtColor(writer.draw(people, image), cv2.COLOR_RGB2BGR)
            drawn.write(_pad(picture, even_wh))
            frames.append({"instances": as_lists(people)})
            if failures:
                frames[-1]["failures"] = failures
            yield from (Failure(source, failure) for failure in failures)
            yield len(frames)
        if (reason := video.early_end()) is not None:
            yield Failure(source, reason)
    finally:  # what was done before an error is kept
        video.close()
        drawn.release()
        write_json(out_dir / f"{path.stem}.json", {"meta": meta, "frames": frames})


def _find_people(
    pipeline: Compose, frame: NDArray | None, find_boxes: BoxSource, name: str
) -> tuple[Crops, list[str]]:
    """Cuts out the people of a frame; what fails there must not end the video."""
    if frame is None:
        return [], [f"{name} is damaged: it cannot be decoded, or is of another size."]
    try:
        return crop_people(pipeline, frame, find_boxes(frame, name), name)
    except Exception as error:
        return [], [f"{name}: {type(error).__name__}: {error}"]


def _pad(picture: NDArray, size_wh: tuple[int, int]) -> NDArray:
    """Repeats the last row and column up to a size."""
    bottom, right = size_wh[1] - picture.shape[0], size_wh[0] - picture.shape[1]
    return cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
