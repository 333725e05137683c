"""Videos of the tasks that predict whole images: labels, depth, normals, features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from mmengine.config import Config

from engine.data.sample import DataSample
from engine.infer.images import InputImage
from engine.infer.predict import (
    Collated,
    Failure,
    ImageFiles,
    collate,
    image_pipeline,
    predict_batch,
)
from engine.infer.results import Results
from engine.infer.video.job import Shown, VideoTask, frame_row
from engine.infer.video.reader import Frame, VideoReader
from engine.infer.writer import Writer
from engine.model.base import BaseModel


class FramesAsImages(VideoTask):
    """Predicts the frames of a video as images.

    The JSON holds ``{"meta": {"video", "width", "height", "fps"}, "frames": [{"frame_id",
    "time_s"}]}``; where something failed, a frame also has ``"failures"``, a list of sentences.

    Args:
        model: From :func:`engine.infer.init_model`.
        cfg: Its config.
        writer: Draws the frames, if its ``film`` is among its outputs.
        of_frames: Writes the files of each frame, ``<stem>/<number, six digits>...``.
        out_dir: Of the results.
        batch_size: Frames a forward pass.
        source: The video, and what its results are called.
        video: Its frames.
    """

    num_ahead = 2  # batches

    def __init__(
        self,
        model: BaseModel,
        cfg: Config,
        writer: Writer,
        of_frames: Writer,
        out_dir: Path,
        batch_size: int,
        source: InputImage,
        video: VideoReader,
    ) -> None:
        self.model, self.batch_size, self.source, self.video = model, batch_size, source, video
        self.draws = writer.film in writer.outputs
        self._draw = writer.frame_drawer()
        self._files = Results(of_frames, out_dir, finish=False)
        self._images = ImageFiles((), image_pipeline(cfg))

    def prepare(self, frames: Iterable[Frame]) -> Iterator[tuple[list[Frame], Collated]]:
        """Makes batches of frames."""
        frames = iter(frames)
        while batch := list(islice(frames, self.batch_size)):
            yield batch, collate([self._prepare(frame) for frame in batch])

    def _prepare(self, frame: Frame) -> Any:
        if frame.pixels is None:
            reason = "it is damaged: it cannot be decoded, or is of another size"
            return Failure(self.source.frame(frame), reason)
        return self._images.try_prepare(self.source.frame(frame), frame.number)

    def predict(
        self, prepared: Iterable[tuple[list[Frame], Collated]]
    ) -> Iterator[tuple[Frame, DataSample | Exception | Failure]]:
        """Predicts batches."""
        for frames, collated in prepared:
            yield from zip(frames, predict_batch(self.model, collated), strict=True)

    def show(self, frame: Frame, predicted: DataSample | Exception | Failure) -> Shown:
        """Draws a frame, and queues its files."""
        image = self.source.frame(frame)
        if isinstance(predicted, Exception):
            predicted = Failure.of(image, predicted)
        if isinstance(predicted, Failure):
            failures = [f"{image.path.name}: {predicted.reason}"]
            return Shown(None, frame_row(frame.number, frame.time_s, failures), failures)
        assert frame.pixels is not None
        sample = predicted.cpu()
        if self._files.writer.outputs:
            self._files.add(image, sample, frame.pixels)
        picture = self._draw(sample, frame.pixels) if self.draws else None
        return Shown(picture, frame_row(frame.number, frame.time_s))

    def content(self, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """Returns the JSON."""
        width, height = self.video.size_wh
        meta = {"video": self.source.path.name, "width": width, "height": height}
        return {"meta": {**meta, "fps": self.video.fps}, "frames": iter(rows)}

    def finish(self) -> Iterator[str]:
        """Waits for the files of frames."""
        self.close()
        yield from (f"{image.path.name}: {reason}" for image, reason in self._files.failures)

    def close(self) -> None:
        """Waits for the files of frames."""
        self._files.close()
