"""Videos of the tasks that predict maps: labels, depth, normals, features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.errors import DataError
from engine.infer.images import InputImage
from engine.infer.predict import Failure
from engine.infer.results import MaskOf, Results, set_mask
from engine.infer.video.frames import FramePredictor, PredictedFrame
from engine.infer.video.job import Shown, VideoTask, frame_row
from engine.infer.video.reader import VideoReader
from engine.infer.writer import Writer


class MapsOfVideo(VideoTask):
    """Draws and writes what is predicted of the frames of a video.

    The JSON holds ``{"meta": {"video", "width", "height", "fps"}, "frames": [{"frame_id",
    "time_s"}]}``; where something failed, a frame also has ``"failures"``, a list of sentences.

    Args:
        predictor: Predicts the frames.
        writer: Draws the frames, if its ``film`` is among its outputs.
        of_frames: Writes the files of each frame, ``<stem>/<number, six digits>...``.
        out_dir: Of the results.
        mask_of: As for :class:`engine.infer.Results`.
        source: The video, and what its results are called.
        video: Its frames.
    """

    def __init__(
        self,
        predictor: FramePredictor,
        writer: Writer,
        of_frames: Writer,
        out_dir: Path,
        mask_of: MaskOf | None,
        source: InputImage,
        video: VideoReader,
    ) -> None:
        super().__init__(predictor, source, video, draws=writer.film in writer.outputs)
        self._draw = writer.frame_drawer()
        self._mask_of = mask_of if writer.needs_image else None
        self._files = Results(of_frames, out_dir, finish=False)

    def show(self, predicted: PredictedFrame) -> Shown:
        """Draws a frame, and queues its files."""
        frame, found, failures = predicted.frame, predicted.found, [*predicted.bad_boxes]
        image, picture = self.source.frame(frame), None
        if not isinstance(found, Failure):
            found = self._with_mask(image, found.cpu())
        if isinstance(found, Failure):
            failures.append(f"{image.path.name}: {found.reason}")
        else:
            picture = self._draw_and_write(image, found)
        return Shown(picture, frame_row(frame.number, frame.time_s, failures), failures)

    def _with_mask(self, image: InputImage, sample: DataSample) -> DataSample | Failure:
        if self._mask_of is not None:
            width, height = self.video.size_wh
            try:
                set_mask(sample, self._mask_of(image.out_stem, (height, width)))
            except DataError as error:
                return Failure.of(image, error)
        return sample

    def _draw_and_write(self, image: InputImage, sample: DataSample) -> NDArray | None:
        pixels = image.read()
        if self._files.writer.outputs:
            self._files.add(image, sample, pixels)
        return self._draw(sample, pixels) if self.draws else None

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
