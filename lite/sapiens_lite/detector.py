"""Where people are: a JSON file of boxes, or a detector in ONNX format.

RTMDet, YOLOX, RF-DETR and those of Ultralytics are told apart by their outputs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sapiens_lite.console import LiteError
from sapiens_lite.crops import Boxes

SizeHW = tuple[int, int]
_SIDE = 640  # of a detector that takes any size
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_PADDING = 114
_STRIDES = (8, 16, 32)  # of YOLOX
_MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # BGR
_STD = np.array([57.375, 57.12, 58.395], np.float32)
_COCO_IDS = 91  # classes of a model that counts them by COCO's ids, in which a person is 1
_KINDS = {
    "suppressed": "rtmdet",
    "scored": "rtmdet",
    "yolox grids": "yolox",
    "channels first": "ultralytics",
    "end to end": "ultralytics",
    "logits": "rfdetr",
}


class BoxesFile:
    """Boxes of a JSON file, ``{"folder/a.jpg": [[x1, y1, x2, y2, score], ...], ...}``.

    Names are paths relative to the input, or bare file names; the score may be left out.

    Raises:
        LiteError: If it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            self.boxes = {name: _five(boxes) for name, boxes in content.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise LiteError(
                f'{path}: expected {{"a.jpg": [[x1, y1, x2, y2, score], ...]}}: {error}'
            ) from error

    def __call__(self, image_bgr: NDArray, name: str) -> Boxes:
        """Returns the boxes of an image.

        Raises:
            LiteError: If the file does not list it.
        """
        for key in (name, Path(name).name):
            if key in self.boxes:
                return self.boxes[key]
        raise LiteError(f"{self.path} has no boxes of it; give it an empty list if it has nobody.")


def _five(boxes: Sequence[Sequence[float]]) -> Boxes:
    rows = [[*box, 1.0] if len(box) == 4 else box for box in boxes]
    return np.array(rows, np.float32).reshape(len(rows), 5)


def whole_image(image_bgr: NDArray, name: str) -> Boxes:
    """Takes an image for one person."""
    height, width = image_bgr.shape[:2]
    return np.array([[0, 0, width, height, 1]], np.float32)


@dataclass
class Detector:
    """Finds people by an ONNX file. It runs on the CPU, in each process that reads images.

    Args:
        path: The file.
        score_thr: Lowest score of a person.
        nms_thr: Overlap (IoU) above which the weaker of two boxes is dropped.
        person_class: Which class is a person; None for 1 if there are 91, else 0.

    Raises:
        LiteError: If the file is no detector of a known kind.
    """

    path: Path
    score_thr: float = 0.3
    nms_thr: float = 0.65
    person_class: int | None = None
    kind: str = field(default="", init=False)
    size_hw: SizeHW = field(default=(_SIDE, _SIDE), init=False)

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise LiteError(f"The detector {self.path} does not exist; expected .onnx or .json.")
        self._session: Any = None
        (inputs, *others) = self._open().get_inputs()
        shape = inputs.shape
        if others or len(shape) != 4 or shape[1] != 3 or inputs.type not in _TYPES:
            raise LiteError(
                f"{self.path}: a detector takes one input (1, 3, H, W) of floats; this one takes "
                f"{inputs.type} {shape}."
            )
        height, width = (n if isinstance(n, int) else _SIDE for n in shape[2:])
        self.size_hw = (height, width)
        outputs = self._run(np.zeros((height, width, 3), np.float32))
        layout = layout_of(outputs, self.size_hw)
        if layout is None:
            shapes = ", ".join(str(output.shape) for output in outputs)
            raise LiteError(
                f"{self.path}: outputs of the shapes {shapes} are not those of RTMDet, YOLOX, "
                "RF-DETR or Ultralytics. Export one of them, or give the boxes in a JSON file."
            )
        self.kind = _KINDS[layout]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # each process opens its own

    def __call__(self, image_bgr: NDArray, name: str) -> Boxes:
        """Returns the people of an image (N, 5), best first."""
        blob, scale_xy = self._prepare(image_bgr)
        outputs = self._run(blob)
        boxes = read_outputs(outputs, self.size_hw, self.person_class, self.kind == "rfdetr")
        boxes = boxes[boxes[:, 4] >= self.score_thr]
        boxes[:, :4] /= np.tile(np.array(scale_xy, np.float32), 2)
        height, width = image_bgr.shape[:2]
        boxes[:, :4] = boxes[:, :4].clip(0, [width, height] * 2)
        boxes = boxes[(boxes[:, 2:4] > boxes[:, :2]).all(axis=1)]
        xywh = np.hstack([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]])
        kept = cv2.dnn.NMSBoxes(xywh.tolist(), boxes[:, 4].tolist(), 0.0, self.nms_thr)
        return boxes[[int(i) for i in kept]]

    def _prepare(self, image: NDArray) -> tuple[NDArray[np.float32], tuple[float, float]]:
        """Makes the input (H, W, 3), and says by how much the image was scaled in x and y."""
        height, width = self.size_hw
        if self.kind == "rfdetr":
            resized = np.asarray(cv2.resize(image, (width, height)), np.float32)
            values = (resized - _MEAN) / _STD
            return values[..., ::-1], (width / image.shape[1], height / image.shape[0])
        scale = min(height / image.shape[0], width / image.shape[1])
        h, w = (max(round(n * scale), 1) for n in image.shape[:2])
        padded = np.full((height, width, 3), _PADDING, np.float32)
        padded[:h, :w] = cv2.resize(image, (w, h))
        if self.kind == "rtmdet":
            padded = (padded - _MEAN) / _STD
        elif self.kind == "ultralytics":
            padded = padded[..., ::-1] / np.float32(255)
        return padded, (scale, scale)

    def _open(self) -> Any:
        if self._session is None:
            try:
                import onnxruntime
            except ImportError as error:
                raise LiteError("Detectors need ONNX Runtime: pip install onnxruntime.") from error
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # there are several processes
            providers = ["CPUExecutionProvider"]
            try:
                self._session = onnxruntime.InferenceSession(
                    str(self.path), options, providers=providers
                )
            except Exception as error:  # its classes have no common base
                reason = str(error).splitlines()[0]
                raise LiteError(f"{self.path} is no model of ONNX Runtime: {reason}") from error
        return self._session

    def _run(self, blob: NDArray[np.float32]) -> list[NDArray]:
        session = self._open()
        inputs = session.get_inputs()[0]
        planes = np.ascontiguousarray(blob.transpose(2, 0, 1)[None], _TYPES[inputs.type])
        return session.run(None, {inputs.name: planes})


def layout_of(outputs: Sequence[NDArray], size_hw: SizeHW) -> str | None:
    """Recognises how a detector says what it finds, of one image; None if it is none of these.

    * ``suppressed``: boxes and scores (1, N, 5) after suppression, and labels (1, N) or none;
    * ``scored``: boxes (1, N, 4), and scores (1, N, C) of each class;
    * ``logits``: the same, but centres and sizes as shares of the image, and logits, some negative;
    * ``yolox grids``: (1, N, 5 + C), centre, size, objectness and classes on grids;
    * ``channels first``: (1, 4 + C, N), centres and sizes in pixels, and the scores of each class;
    * ``end to end``: (1, N, 6): box, score and label.
    """
    shapes = [output.shape for output in outputs]
    if not shapes or len(shapes) > 2 or len(shapes[0]) != 3:
        return None
    if any(len(shape) < 2 or shape[0] != 1 for shape in shapes):
        return None
    rows, columns = shapes[0][1:]
    if len(shapes) == 2:
        if columns == 5 and shapes[1][1:] == (rows,):
            return "suppressed"
        if columns == 4 and shapes[1][1:2] == (rows,) and len(shapes[1]) == 3:
            return "logits" if (outputs[1] < 0).any() else "scored"
        return None
    if columns > 5 and rows == len(_grid(size_hw)):
        return "yolox grids"
    if 4 < rows < columns:
        return "channels first"
    return {5: "suppressed", 6: "end to end"}.get(columns)


def read_outputs(
    outputs: Sequence[NDArray], size_hw: SizeHW, person_class: int | None, shares: bool
) -> Boxes:
    """Reads boxes of people (N, 5), in pixels of the input, from a detector's outputs.

    Args:
        outputs: Of one image.
        size_hw: Of the input.
        person_class: See :class:`Detector`.
        shares: Whether boxes are shares of the image, and scores logits, as of RF-DETR.

    Raises:
        LiteError: If there is no such class.
    """
    layout = layout_of(outputs, size_hw)
    rows = np.asarray(outputs[0][0], np.float32)
    if layout == "suppressed":
        return rows if len(outputs) == 1 else rows[outputs[1][0] == (person_class or 0)]
    if layout == "end to end":
        return rows[rows[:, 5] == (person_class or 0), :5]
    if layout == "channels first":
        rows = rows.T
        return np.column_stack([_corners(rows[:, :4]), _of_class(rows[:, 4:], person_class)])
    if layout == "yolox grids":
        grid = _grid(size_hw)
        center = (rows[:, :2] + grid[:, :2]) * grid[:, 2:]
        boxes = _corners(np.hstack([center, np.exp(rows[:, 2:4]) * grid[:, 2:]]))
        return np.column_stack([boxes, rows[:, 4] * _of_class(rows[:, 5:], person_class)])
    scores = _of_class(np.asarray(outputs[1][0], np.float32), person_class)
    if not shares:
        return np.column_stack([rows, scores])
    boxes = _corners(rows * np.array([*size_hw[::-1]] * 2, np.float32))
    return np.column_stack([boxes, 1 / (1 + np.exp(-scores.clip(-60, 60)))])


def _of_class(classes: NDArray, person_class: int | None) -> NDArray:
    num = classes.shape[1]
    index = int(num == _COCO_IDS) if person_class is None else person_class
    if not 0 <= index < num:
        raise LiteError(f"The detector has {num} classes; --det_cat_id {index} is none of them.")
    return classes[:, index]


def _corners(boxes: NDArray) -> NDArray:
    """Turns centres and sizes (N, 4) into corners."""
    center, size = boxes[:, :2], boxes[:, 2:4]
    return np.hstack([center - size / 2, center + size / 2])


def _grid(size_hw: SizeHW) -> NDArray:
    """(N, 3): column, row and stride of each cell of YOLOX."""
    sizes = [(math.floor(size_hw[0] / s), math.floor(size_hw[1] / s), s) for s in _STRIDES]
    grids = []
    for height, width, stride in sizes:
        y, x = np.mgrid[:height, :width]
        grids.append(np.stack([x, y, np.full_like(x, stride)], axis=-1).reshape(-1, 3))
    return np.concatenate(grids)
