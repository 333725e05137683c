"""Videos: frame after frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
from mmengine.config import Config
from mmengine.dataset import Compose

from engine.errors import DataError
from engine.model.base import BaseModel
from pose.infer.boxes import BoxSource
from pose.infer.people import crop_people, predict_crops
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
) -> Iterator[int]:
    """Writes ``<stem>.mp4`` with everybody drawn, and ``<stem>.json``.

    The JSON holds ``{"meta": {"video", "width", "height", "fps", "keypoint_set"}, "frames":
    [{"instances": [...]}, ...]}``; instances as in :class:`pose.infer.PoseWriter`.

    Yields:
        The number of frames done, after each one.

    Raises:
        DataError: If the video cannot be read, or the result cannot be written.
    """
    video = cv2.VideoCapture(str(path))
    width, height = (
        int(video.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    fps = video.get(cv2.CAP_PROP_FPS) or 25.0
    if not video.isOpened() or not width:
        raise DataError(f"{path} is not a video that OpenCV can read.")
    target = out_dir / f"{path.stem}.mp4"
    if target.resolve() == path.resolve():
        raise DataError(f"{target} is the input and would be overwritten; choose another folder.")
    out_dir.mkdir(parents=True, exist_ok=True)
    drawn = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    if not drawn.isOpened():
        raise DataError(f"{target} cannot be written: OpenCV has no encoder for mp4v.")
    pipeline = Compose(list(cfg.test_dataloader.dataset.pipeline))
    meta = {"video": path.name, "width": width, "height": height, "fps": fps}
    meta["keypoint_set"] = writer.metainfo.name
    frames: list[dict] = []
    try:
        while (frame := video.read()[1]) is not None:
            name = f"{path.name}#{len(frames)}"
            crops = crop_people(pipeline, frame, find_boxes(frame, name), name)
            people = predict_crops(model, crops, batch_size)
            drawn.write(cv2.cvtColor(writer.draw(people, frame), cv2.COLOR_RGB2BGR))
            frames.append({"instances": as_lists(people)})
            yield len(frames)
    finally:  # what was done before an error is kept
        video.release()
        drawn.release()
        write_json(out_dir / f"{path.stem}.json", {"meta": meta, "frames": frames})
