"""A video through a model: what all tasks share, and what each of them has to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import DataError
from engine.infer.ahead import Ahead
from engine.infer.images import InputImage
from engine.infer.json_files import write_json
from engine.infer.predict import Failure
from engine.infer.video.frames import FramePredictor, PredictedFrame
from engine.infer.video.reader import VideoReader
from engine.infer.video.spool import Spool
from engine.infer.video.writer import VideoWriter


class Shown(NamedTuple):
    """What became of a frame.

    Attributes:
        picture: (H, W, 3) uint8 RGB; None if there is none, and the video is black there.
        row: What the JSON is made of; can be pickled.
        failures: Sentences.
    """

    picture: NDArray | None
    row: Any
    failures: Sequence[str] = ()


class VideoTask(ABC):
    """What a task does with the frames of one video.

    Args:
        predictor: Predicts them.
        source: The video, and what its results are called.
        video: Its frames.
        draws: Whether there is a video of pictures.
    """

    def __init__(
        self, predictor: FramePredictor, source: InputImage, video: VideoReader, draws: bool
    ) -> None:
        self.predictor, self.source, self.video, self.draws = predictor, source, video, draws

    @abstractmethod
    def show(self, predicted: PredictedFrame) -> Shown:
        """Says what becomes of a frame; runs where the video was asked for."""

    @abstractmethod
    def content(self, rows: Iterable[Any]) -> dict[str, Any] | None:
        """Returns the JSON of the rows of all frames, None for none; see ``write_json``."""

    def finish(self) -> Iterable[str]:
        """Waits for what is written meanwhile; returns sentences on what of it failed."""
        return ()

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Ends what :meth:`finish` would wait for; it may have been called."""


def predict_video(
    source: InputImage,
    out_dir: Path,
    start: Callable[[InputImage, VideoReader], VideoTask],
    say: Callable[[str], None] | None = None,
) -> Generator[int | Failure, None, None]:
    """Writes ``<stem>.mp4`` and ``<stem>.json`` of a video; both when all is done.

    Decoding, preparation, prediction, drawing and encoding run side by side, and a few frames at a
    time are in memory.

    Args:
        source: The video, and what its results are called.
        out_dir: Of the results.
        start: Makes what the task does with the frames.
        say: See :class:`engine.infer.video.VideoWriter`.

    Yields:
        The number of frames done, after each one; and what failed: something in a frame, or the end
        of the video, if it came too early.

    Raises:
        DataError: If the video cannot be read.
        OutputError: If the result cannot be written.
    """
    stem = Path(out_dir, source.out_stem)
    target = Path(f"{stem}.mp4")
    if target.resolve() == source.path.resolve():
        raise DataError(f"{target} is the input and would be overwritten; choose another folder.")
    with (
        VideoReader(source.path) as video,
        closing(start(source, video)) as task,
        Spool[Any](stem.parent) as rows,
    ):
        with VideoWriter(target, video.fps, say) if task.draws else nullcontext() as written:
            for item in _predict_all(task, video, _Film(written), rows):
                yield Failure(source, item) if isinstance(item, str) else item
        if (content := task.content(rows)) is not None:
            write_json(Path(f"{stem}.json"), content)


def _predict_all(
    task: VideoTask, video: VideoReader, film: _Film, rows: Spool
) -> Iterator[int | str]:
    """Goes through a video; yields how many frames are done, and sentences on what failed."""
    predictor = task.predictor
    with (
        Ahead(predictor.prepare(task.source, video), predictor.num_ahead) as prepared,
        Ahead(predictor.predict(prepared)) as predicted,
    ):
        for number, item in enumerate(predicted, 1):
            shown = task.show(item)
            film.add(shown.picture, item.frame.time_s)
            rows.add(shown.row)
            yield from shown.failures
            yield number
    yield from task.finish()
    if (reason := video.early_end()) is not None:
        yield reason


class _Film:
    """Pictures of one size, black where there is none."""

    def __init__(self, video: VideoWriter | None) -> None:
        self._video = video
        self._black: NDArray | None = None
        self._early: list[float] = []  # times before the size is known

    def add(self, picture: NDArray | None, time_s: float) -> None:
        """Adds a picture (H, W, 3) RGB."""
        if self._video is None:
            return
        if self._black is None and picture is not None:
            self._black = np.zeros_like(picture)
            for early_s in self._early:
                self._video.write(self._black, early_s)
        if picture is not None:
            self._video.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), time_s)
        elif self._black is not None:
            self._video.write(self._black, time_s)
        else:
            self._early.append(time_s)


def frame_row(number: int, time_s: float, failures: Sequence[str] = ()) -> dict[str, Any]:
    """Returns what a JSON says of each frame of a video."""
    failed = {"failures": list(failures)} if failures else {}
    return {"frame_id": number, "time_s": round(time_s, 6), **failed}
