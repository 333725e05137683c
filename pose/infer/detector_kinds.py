"""What detectors take and give: how each kind normalises images, and the layouts of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data.geometry import SizeHW
from engine.errors import DataError
from pose.infer.boxes import Boxes

_PADDING = 114
_YOLOX_STRIDES = (8, 16, 32)
_RTMDET_MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # BGR
_RTMDET_STD = np.array([57.375, 57.12, 58.395], np.float32)
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # RGB
_IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)
_COCO_IDS = 91  # classes of a model that counts them by COCO's ids, in which a person is 1

Blob = tuple[NDArray[np.float32], tuple[float, float]]
"""The model's input (H, W, 3), and by how much the image was scaled in x and y."""


class Kind(NamedTuple):
    """A family of detectors.

    Attributes:
        prepare: Makes the input of an image (H, W, 3) uint8 BGR and the input's (H, W).
        layouts: Which of :func:`layout_of` its outputs may have.
    """

    prepare: Callable[[NDArray, SizeHW], Blob]
    layouts: tuple[str, ...]


def fit(image: NDArray, size_hw: SizeHW) -> tuple[NDArray[np.float32], float]:
    """Fits an image into the upper left of a padded one (H, W, 3); returns the scale as well."""
    scale = min(size_hw[0] / image.shape[0], size_hw[1] / image.shape[1])
    height, width = (max(round(n * scale), 1) for n in image.shape[:2])  # of a thin one too
    padded = np.full((*size_hw, 3), _PADDING, np.float32)
    padded[:height, :width] = cv2.resize(image, (width, height))
    return padded, scale


def _of_yolox(image: NDArray, size_hw: SizeHW) -> Blob:
    padded, scale = fit(image, size_hw)
    return padded, (scale, scale)


def _of_rtmdet(image: NDArray, size_hw: SizeHW) -> Blob:
    padded, scale = _of_yolox(image, size_hw)
    return (padded - _RTMDET_MEAN) / _RTMDET_STD, scale


def _of_ultralytics(image: NDArray, size_hw: SizeHW) -> Blob:
    padded, scale = _of_yolox(image, size_hw)
    return padded[..., ::-1] / np.float32(255), scale


def _of_rfdetr(image: NDArray, size_hw: SizeHW) -> Blob:
    height, width = size_hw
    resized = np.asarray(cv2.resize(image, (width, height)), np.float32)
    shares = resized[..., ::-1] / np.float32(255)
    return (shares - _IMAGENET_MEAN) / _IMAGENET_STD, (
        width / image.shape[1],
        height / image.shape[0],
    )


KINDS = {
    "rtmdet": Kind(_of_rtmdet, ("suppressed", "scored")),
    "yolox": Kind(_of_yolox, ("yolox grids", "suppressed", "scored")),
    "ultralytics": Kind(_of_ultralytics, ("channels first", "end to end")),
    "rfdetr": Kind(_of_rfdetr, ("logits", "scored")),
}


def layout_of(outputs: Sequence[NDArray], size_hw: SizeHW) -> str | None:
    """Recognises how a detector says what it finds, of one image; None if it is none of these.

    * ``suppressed``: boxes and scores (1, N, 5) after non-maximum suppression, labels (1, N) or
      none;
    * ``scored``: boxes (1, N, 4) and the scores of each class (1, N, C), before it;
    * ``logits``: the same, but centers and sizes as shares of the image, and logits, some of which
      are negative;
    * ``yolox grids``: (1, N, 5 + C), center, size, objectness and classes on grids of strides 8,
      16 and 32;
    * ``channels first``: (1, 4 + C, N), centers and sizes in pixels, and the scores of each class;
    * ``end to end``: (1, N, 6): box, score and label.
    """
    shapes = [output.shape for output in outputs]
    if not outputs or any(len(shape) < 2 or shape[0] != 1 for shape in shapes):
        return None
    first, second = shapes[0][1:], shapes[1][1:] if len(shapes) > 1 else None
    if len(first) != 2 or len(shapes) > 2:
        return None
    if second is not None:
        if first[1] == 5 and second == first[:1]:
            return "suppressed"
        if first[1] == 4 and len(second) == 2 and second[0] == first[0]:
            return "logits" if (outputs[1] < 0).any() else "scored"
        return None
    if first[1] > 5 and first[0] == len(_grid(size_hw)):
        return "yolox grids"
    if 4 < first[0] < first[1]:
        return "channels first"
    return {5: "suppressed", 6: "end to end"}.get(first[1])


def recognise(outputs: Sequence[NDArray], size_hw: SizeHW, source: str | Path) -> str:
    """Returns the kind of a detector by its outputs; raises DataError if it is none."""
    layout = layout_of(outputs, size_hw)
    for name, kind in KINDS.items():
        if layout in kind.layouts:
            return name
    raise DataError(_unknown(outputs, source, "a detector of a known kind"))


def read_outputs(
    outputs: Sequence[NDArray],
    size_hw: SizeHW,
    person_class: int | None,
    source: str | Path,
    kind: str,
) -> Boxes:
    """Reads boxes of people (N, 5), in pixels of the input, from a detector's outputs.

    Args:
        outputs: Of one image.
        size_hw: Of the input.
        person_class: Which class is a person; None for 1 if there are 91, as COCO's ids are, else
            0.
        source: The file, for errors.
        kind: A key of :data:`KINDS`.

    Raises:
        DataError: If the layout is none of the kind's, or there is no such class.
    """
    layout = layout_of(outputs, size_hw)
    if layout not in KINDS[kind].layouts:
        raise DataError(_unknown(outputs, source, f"a detector of the kind {kind}"))
    rows = np.asarray(outputs[0][0], np.float32)
    if layout == "channels first":
        rows = rows.T
    if layout == "suppressed":
        kept = slice(None) if len(outputs) == 1 else outputs[1][0] == (person_class or 0)
        return rows[kept]
    if layout == "end to end":
        return rows[rows[:, 5] == (person_class or 0), :5]
    classes = {"channels first": rows[:, 4:], "yolox grids": rows[:, 5:]}.get(layout)
    classes = np.asarray(outputs[1][0], np.float32) if classes is None else classes
    scores = _of_class(classes, person_class, source)
    if layout == "yolox grids":
        grid = _grid(size_hw)
        center, size = (rows[:, :2] + grid[:, :2]) * grid[:, 2:], np.exp(rows[:, 2:4]) * grid[:, 2:]
        return np.column_stack([_corners(center, size), rows[:, 4] * scores]).astype(np.float32)
    if layout == "channels first":
        return np.column_stack([_corners(rows[:, :2], rows[:, 2:4]), scores])
    if kind == "rfdetr":
        in_pixels = rows * np.array([*size_hw[::-1]] * 2, np.float32)
        certain = 1 / (1 + np.exp(-scores.clip(-60, 60)))
        return np.column_stack([_corners(in_pixels[:, :2], in_pixels[:, 2:]), certain])
    return np.column_stack([rows, scores])


def _of_class(classes: NDArray, person_class: int | None, source: str | Path) -> NDArray:
    num = classes.shape[1]
    if person_class is None:
        person_class = int(num == _COCO_IDS)
    if not 0 <= person_class < num:
        raise DataError(f"{source} has {num} classes; person_class {person_class} is none of them.")
    return classes[:, person_class]


def _corners(center: NDArray, size: NDArray) -> NDArray:
    return np.hstack([center - size / 2, center + size / 2])


def _grid(size_hw: SizeHW) -> NDArray:
    """(N, 3): column, row and stride of each cell."""
    grids = []
    for stride in _YOLOX_STRIDES:
        y, x = np.mgrid[: size_hw[0] // stride, : size_hw[1] // stride]
        grids.append(np.stack([x, y, np.full_like(x, stride)], axis=-1).reshape(-1, 3))
    return np.concatenate(grids)


def _unknown(outputs: Sequence[NDArray], source: str | Path, what: str) -> str:
    shapes = ", ".join(str(output.shape) for output in outputs)
    return (
        f"{source}: outputs of the shapes {shapes} are not those of {what}. RTMDet and YOLOX give "
        "(1, N, 5) with (1, N) labels, or (1, N, 4) with (1, N, C) scores; YOLOX also "
        "(1, N, 5 + C), a row for each cell of its grids; Ultralytics (1, 4 + C, N) or (1, N, 6); "
        "RF-DETR (1, N, 4) with (1, N, C) logits. Export one of them, or give the boxes in a JSON "
        "file."
    )
