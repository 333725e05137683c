"""Writes a video, encoded in a thread: H.264 by PyAV if it is installed, else OpenCV's mp4v."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any, Protocol

import cv2
from mmengine.logging import print_log
from numpy.typing import NDArray

from engine.data.geometry import SizeHW
from engine.errors import OutputError
from engine.infer.unfinished import hidden

_CODEC = "libx264"
_OPTIONS = {"crf": "18", "preset": "veryfast"}  # hardly visible loss; fast, as the model needs CPUs
_TIME_BASE = Fraction(1, 90_000)  # 24, 25, 30 and 60 frames a second are whole numbers of it
_MAX_WAITING = 4
_IRREGULAR = 0.5  # of a frame's duration, by which one may come early or late


class VideoWriter:
    """Writes an MP4 without sound; it appears under its name when it is complete.

    ::

        with VideoWriter(path, fps=25) as video:
            video.write(picture_bgr, time_s)

    Leaving the context finishes the file, or removes it if that is by an exception. Without frames
    there is none. Frames of an odd size get a row or a column more, as such videos need even ones.

    Args:
        path: Of the file, ``.mp4``.
        fps: Frames a second, their mean if it varies: OpenCV writes no other times, PyAV keeps
            those of the frames and needs it for how long the last one is shown.
        say: Takes sentences on what is done differently than asked, from the thread that encodes;
            they are logged by default.

    Raises:
        OutputError: If the file cannot be written; also from ``write`` and at the end.
    """

    def __init__(self, path: Path, fps: float, say: Callable[[str], None] | None = None) -> None:
        self.path, self.fps = path, fps
        self.say = say or (lambda sentence: print_log(sentence, "current", logging.WARNING))
        self._temporary = hidden(path, "unfinished")
        self._size_wh: tuple[int, int] | None = None
        self._waiting: Queue[tuple[NDArray, float] | None] = Queue(_MAX_WAITING)
        self._error: Exception | None = None
        self._thread = Thread(target=self._encode, name="encode", daemon=True)

    def __enter__(self) -> VideoWriter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if kind is not None or self._error is not None:
            self._temporary.unlink(missing_ok=True)
        if kind is None:
            self._raise_error()
            if self._size_wh is not None:
                self._temporary.replace(self.path)

    def write(self, picture_bgr: NDArray, time_s: float) -> None:
        """Queues a frame (H, W, 3) uint8, which must not change afterwards; times must rise.

        Raises:
            OutputError: If it is of another size than the first, or one before cannot be written.
        """
        if self._thread.ident is None:
            raise RuntimeError("VideoWriter writes within a with statement only.")
        self._raise_error()
        size_wh = picture_bgr.shape[1], picture_bgr.shape[0]
        self._size_wh = self._size_wh or size_wh
        if size_wh != self._size_wh:
            raise OutputError(
                f"{self.path}: a frame of {_by(size_wh)} after one of {_by(self._size_wh)} "
                "(width x height); those of a video have one size."
            )
        self._waiting.put((picture_bgr, time_s))

    def _raise_error(self) -> None:
        if self._error is not None:
            reason = f"{type(self._error).__name__}: {self._error}"
            raise OutputError(f"{self.path} cannot be written: {reason}") from self._error

    def _encode(self) -> None:
        items = iter(self._waiting.get, None)
        try:
            if (first := next(items, None)) is not None:
                self._write_all(chain([first], items), (first[0].shape[0], first[0].shape[1]))
        except Exception as error:  # raised where frames come from
            self._error = error
        for _ in items:  # nobody shall wait for room
            pass

    def _write_all(self, items: Iterable[tuple[NDArray, float]], size_hw: SizeHW) -> None:
        height, width = size_hw
        below, right = height % 2, width % 2
        even_wh = width + right, height + below
        if below or right:
            self.say(
                f"{self.path}: frames of {_by((width, height))} (width x height) are written as "
                f"{_by(even_wh)}, the last row or column repeated: such videos need even sizes."
            )
        encoder = self._open(even_wh)
        try:
            for picture, time_s in items:
                even = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
                encoder.write(even, time_s)
        finally:
            encoder.close()

    def _open(self, size_wh: tuple[int, int]) -> _Encoder:
        try:
            return _H264(self._temporary, self.fps, size_wh)
        except (ImportError, ValueError):  # the latter of a PyAV that was built without it
            self.say(
                f"{self.path} is written by OpenCV as MPEG-4 part 2, larger than H.264 and unknown "
                'to browsers: pip install "mmsapiens[video]" brings H.264.'
            )
        return _Mpeg4(self._temporary, self.fps, size_wh, self.say)


class _Encoder(Protocol):
    """Writes frames of even sizes to a file; finishes it when closed."""

    def write(self, picture_bgr: NDArray, time_s: float) -> None: ...

    def close(self) -> None: ...


class _H264:
    """By PyAV, with the times of the frames; ImportError or ValueError if there is none."""

    def __init__(self, path: Path, fps: float, size_wh: tuple[int, int]) -> None:
        import av

        av.codec.Codec(_CODEC, "w")  # before the file is there
        self._from_pixels = av.VideoFrame.from_ndarray
        self._file = av.open(str(path), "w", format="mp4")
        rate = Fraction(fps).limit_denominator(1001)  # for how long the last frame is shown
        stream: Any = self._file.add_stream(_CODEC, rate, options=_OPTIONS)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        self._stream = stream
        self._last = -1

    def write(self, picture_bgr: NDArray, time_s: float) -> None:
        frame = self._from_pixels(picture_bgr, format="bgr24")
        frame.pts = self._last = max(round(time_s / _TIME_BASE), self._last + 1)
        frame.time_base = _TIME_BASE
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        try:
            self._file.mux(self._stream.encode(None))
        finally:
            self._file.close()


class _Mpeg4:
    """By OpenCV, at a steady rate."""

    def __init__(
        self, path: Path, fps: float, size_wh: tuple[int, int], say: Callable[[str], None]
    ) -> None:
        self._path = str(path)
        self._file = cv2.VideoWriter(self._path, cv2.VideoWriter.fourcc(*"mp4v"), fps, size_wh)
        if not self._file.isOpened():
            raise OSError("OpenCV has no encoder for mp4v, or the folder takes no files")
        self._say, self._fps, self._num = say, fps, 0
        self._is_irregular = False

    def write(self, picture_bgr: NDArray, time_s: float) -> None:
        self._file.write(picture_bgr)
        late = abs(time_s * self._fps - self._num)
        if late > _IRREGULAR and not self._is_irregular:
            self._is_irregular = True
            self._say(
                f"The frame rate varies, and OpenCV writes the mean, {self._fps:g} a second: frame "
                f"{self._num} is shown at {self._num / self._fps:.2f} s in place of {time_s:.2f} s."
            )
        self._num += 1

    def close(self) -> None:
        self._file.release()
        if cv2.VideoCapture(self._path).get(cv2.CAP_PROP_FRAME_COUNT) != self._num:
            raise OSError("OpenCV does not say why; is the disk full?")


def _by(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
