"""Where the people of an image are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.decoding import read_json
from engine.data.files import composed
from engine.errors import DataError
from engine.infer.people import Boxes, BoxSource

__all__ = ["BoxSource", "Boxes", "BoxesFile", "whole_image"]


def whole_image(image_bgr: NDArray, name: str) -> Boxes:
    """Takes the image for one person."""
    height, width = image_bgr.shape[:2]
    return np.array([[0, 0, width, height, 1]], np.float32)


class BoxesFile:
    """Boxes from a JSON file: ``{"folder/a.jpg": [[x1, y1, x2, y2, score], ...], ...}``.

    Names are paths relative to the input, or bare file names. The score may be left out, and is
    then 1; an image without people has an empty list.

    Args:
        path: Of the file.

    Raises:
        DataError: If it is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        content = read_json(path)
        if not isinstance(content, dict):
            raise DataError(
                f'{path}: expected an object {{"a.jpg": [[x1, y1, x2, y2, score], ...]}}, found a '
                f"{type(content).__name__}."
            )
        self.boxes = {composed(name): self._check(name, boxes) for name, boxes in content.items()}

    def _check(self, name: str, boxes: list) -> Boxes:
        try:
            rows = [[*box, 1.0] if len(box) == 4 else box for box in boxes]
            return np.array(rows, np.float32).reshape(len(rows), 5)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{self.path}: {name!r} needs a list of boxes of 4 or 5 numbers, x1, y1, x2, y2 "
                f"(, score); found {boxes!r}."
            ) from error

    def __call__(self, image_bgr: NDArray, name: str) -> Boxes:
        """Returns the boxes of an image; see :class:`BoxSource`.

        Raises:
            DataError: If the file does not list it.
        """
        for key in (name, Path(name).name):
            if composed(key) in self.boxes:
                return self.boxes[composed(key)]
        raise DataError(
            f"{self.path} has no boxes of {name!r}; give it an empty list if nobody is there."
        )
