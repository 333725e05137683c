"""Reads a video, and notices if it stops before its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
from numpy.typing import NDArray

from engine.errors import DataError
from pose.infer.containers import is_cut_off, num_pictures

_ESTIMATED = (".mkv", ".webm")  # they tell a duration, of all streams; OpenCV makes a count of it
_SLACK_S = 0.5  # by which sound may outlast the pictures there
_MOST_BROKEN = 100  # in a row; after the end every frame is


class VideoFile:
    """The frames of a video file, and whether all of them came.

    Args:
        path: Of the file.

    Attributes:
        size_wh: Of a frame, as it is shown.
        fps: Frames a second, 25 if the file does not tell.
        num_promised: Frames that the file says it has, 0 if it does not tell.
        num_read: Frames so far, with damaged ones: undecodable, or of another size.

    Raises:
        DataError: If OpenCV cannot read it.
    """

    def __init__(self, path: Path) -> None:
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
        self._last_s = 0.0

    def __iter__(self) -> Iterator[NDArray | None]:
        """Yields the frames (H, W, 3) uint8 BGR, None for one that is damaged."""
        num_broken = 0
        while num_broken < _MOST_BROKEN:
            frame = self._video.read()[1]
            if frame is None or frame.shape[1::-1] != self.size_wh:
                num_broken += 1
                continue
            self._last_s = self._video.get(cv2.CAP_PROP_POS_MSEC) / 1000
            self.num_read += num_broken + 1
            yield from [None] * num_broken
            yield frame
            num_broken = 0

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

    def close(self) -> None:
        """Closes the file."""
        self._video.release()
