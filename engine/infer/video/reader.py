"""Reads a video, and notices if it stops before its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
from numpy.typing import NDArray

from engine.errors import DataError
from engine.infer.ahead import Ahead
from engine.infer.video.containers import is_cut_off, num_pictures

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
_ESTIMATED = (".mkv", ".webm")  # they tell a duration, of all streams; OpenCV makes a count of it
_SLACK_S = 0.5  # by which sound may outlast the pictures there
_MOST_BROKEN = 100  # in a row; after the end every frame is


def is_video(source: str | Path) -> bool:
    """Whether --input names a video file."""
    return Path(source).suffix.lower() in VIDEO_SUFFIXES and os.path.isfile(source)


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        number: From 0.
        time_s: When it is shown, in seconds from the first one.
        pixels: (H, W, 3) uint8 BGR, None if it is damaged: undecodable, or of another size.
    """

    number: int
    time_s: float
    pixels: NDArray | None


class VideoReader:
    """The frames of a video file, and whether all of them came.

    ::

        with VideoReader(path) as video:
            for number, time_s, pixels in video:
                ...
            reason = video.early_end()

    They are decoded in a thread, a few ahead of who takes them, and turned as the file says, as
    telephones write it. They can be gone through once.

    Args:
        path: Of the file.
        ahead: Frames that may wait.

    Attributes:
        size_wh: Of a frame, as it is shown.
        fps: Frames a second, their mean if it varies; 25 if the file does not tell.
        num_promised: Frames that the file says it has, 0 if it does not tell.
        num_read: Frames so far, with damaged ones: undecodable, or of another size.

    Raises:
        DataError: If OpenCV cannot read it.
    """

    def __init__(self, path: Path, ahead: int = 4) -> None:
        self.path = path
        self._video = cv2.VideoCapture(str(path))
        width, height, fps, count = (
            self._video.get(prop)
            for prop in (
                cv2.CAP_PROP_FRAME_WIDTH,
                cv2.CAP_PROP_FRAME_HEIGHT,
                cv2.CAP_PROP_FPS,
                cv2.CAP_PROP_FRAME_COUNT,
            )
        )
        if not self._video.isOpened() or not width:
            raise DataError(f"{path} is not a video that OpenCV can read, or its end is missing.")
        self.size_wh = (int(width), int(height))
        self.fps = fps or 25.0
        self.num_promised = max(int(count), 0)
        self.num_read = 0
        self._last_s = -1 / self.fps
        self._frames = Ahead(self._decode(), ahead)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.__exit__()
        self._video.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames."""
        return self._frames.__enter__()

    def _decode(self) -> Iterator[Frame]:
        num_broken = 0
        while num_broken < _MOST_BROKEN:
            pixels = self._video.read()[1]
            if pixels is None or pixels.shape[1::-1] != self.size_wh:
                num_broken += 1
                continue
            before, now = self._last_s, self._time()
            first, step = self.num_read, (now - before) / (num_broken + 1)
            self._last_s, self.num_read = now, first + num_broken + 1
            for i in range(num_broken):
                yield Frame(first + i, before + (i + 1) * step, None)
            yield Frame(first + num_broken, now, pixels)
            num_broken = 0

    def _time(self) -> float:
        """When the frame that was just read is shown; some files do not tell, or tell nonsense."""
        told = self._video.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return told if told > self._last_s else self._last_s + 1 / self.fps

    def early_end(self) -> str | None:
        """Returns, after the last frame, what is wrong if it came too early; else None.

        A file that tells no number of frames can only be found empty. Matroska and WebM that are
        not cut off are judged by time, as they tell no number but how long they last. A trimmed MP4
        is not judged unless it is cut off: it counts what is not to be shown, too.
        """
        if self.num_read and (self.num_promised <= self.num_read or not self._stopped_early()):
            return None
        return (
            f"ends after {self.num_read} of the {self.num_promised} frames that it promises: it is "
            "cut off or damaged; what was read is written."
        )

    def _stopped_early(self) -> bool:
        suffix = self.path.suffix.lower()
        if suffix == ".avi" or is_cut_off(self.path):
            return True
        if suffix in _ESTIMATED:
            return self._last_s + 1 / self.fps + _SLACK_S < self.num_promised / self.fps
        return num_pictures(self.path) == self.num_promised  # else some are not to be shown
