"""People found by a detector in ONNX format, such as RTMDet or YOLOX.

It needs ONNX Runtime: ``pip install "mmsapiens[detector]"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import ConfigError, DataError
from pose.infer.boxes import Boxes

_PADDING = 114
_DEFAULT_SIDE = 640
_YOLOX_STRIDES = (8, 16, 32)
_RTMDET_MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # BGR
_RTMDET_STD = np.array([57.375, 57.12, 58.395], np.float32)


@dataclass(eq=False)
class OnnxDetector:
    """Finds people; see :class:`pose.infer.BoxSource`.

    The image is fitted into the upper left of the model's input, aspect kept, and padded with grey.
    Outputs may be of any of these layouts, with coordinates in pixels of the input:

    * boxes and scores (1, N, 5) after non-maximum suppression, labels (1, N) or none (MMDeploy);
    * boxes (1, N, 4) and the scores of each class (1, N, C), before it;
    * (1, N, 5 + C), center, size, objectness and classes on YOLOX's grids of strides 8, 16, 32.

    Args:
        path: The .onnx file.
        kind: How images are normalised: ``"rtmdet"`` by mean and deviation, ``"yolox"`` not at all.
        score_thr: Lowest score of a person.
        nms_thr: Overlap (IoU) above which the weaker of two boxes is dropped.
        person_class: Which class is a person.

    Raises:
        ConfigError: If the file or ONNX Runtime is missing.
    """

    path: str | Path
    kind: Literal["rtmdet", "yolox"] = "rtmdet"
    score_thr: float = 0.3
    nms_thr: float = 0.65
    person_class: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("rtmdet", "yolox"):
            raise ConfigError(f"OnnxDetector: kind is rtmdet or yolox, found {self.kind!r}.")
        if not Path(self.path).is_file():
            raise ConfigError(f"The detector {self.path} does not exist; expected a .onnx file.")
        self._session: Any = None
        _runtime()

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_session": None}  # each process opens its own

    def __call__(self, image_bgr: NDArray, name: str) -> Boxes:
        """Returns the people of an image (N, 5), best first."""
        if self._session is None:
            self._session = _runtime().InferenceSession(
                str(self.path), providers=["CPUExecutionProvider"]
            )
        model_input = self._session.get_inputs()[0]
        size_hw = [n if isinstance(n, int) else _DEFAULT_SIDE for n in model_input.shape[2:]]
        blob, scale = fit(image_bgr, (size_hw[0], size_hw[1]))
        if self.kind == "rtmdet":
            blob = (blob - _RTMDET_MEAN) / _RTMDET_STD
        planes = np.ascontiguousarray(blob.transpose(2, 0, 1)[None], np.float32)
        outputs = self._session.run(None, {model_input.name: planes})
        boxes = read_outputs(outputs, (size_hw[0], size_hw[1]), self.person_class, self.path)
        boxes = boxes[boxes[:, 4] >= self.score_thr]
        boxes[:, :4] /= scale
        height, width = image_bgr.shape[:2]
        boxes[:, :4] = boxes[:, :4].clip(0, [width, height] * 2)
        boxes = boxes[(boxes[:, 2:4] > boxes[:, :2]).all(axis=1)]
        return boxes[nms(boxes, self.nms_thr)]


def fit(image: NDArray, size_hw: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """Fits an image into the upper left of a padded one (H, W, 3); returns the scale as well."""
    scale = min(size_hw[0] / image.shape[0], size_hw[1] / image.shape[1])
    height, width = (max(round(n * scale), 1) for n in image.shape[:2])  # of a thin one too
    padded = np.full((*size_hw, 3), _PADDING, np.float32)
    padded[:height, :width] = cv2.resize(image, (width, height))
    return padded, scale


def read_outputs(
    outputs: Sequence[NDArray], size_hw: tuple[int, int], person_class: int, source: str | Path
) -> Boxes:
    """Reads boxes of people (N, 5) from a detector's outputs; see :class:`OnnxDetector`.

    Raises:
        DataError: If the layout is none of the known ones.
    """
    first = outputs[0][0]
    second = outputs[1][0] if len(outputs) > 1 else None
    if first.ndim == 2 and first.shape[1] == 5 and (second is None or second.ndim == 1):
        boxes = first if second is None else first[second == person_class]
    elif first.ndim == 2 and first.shape[1] == 4 and second is not None and second.ndim == 2:
        boxes = np.column_stack([first, second[:, person_class]])
    elif first.ndim == 2 and first.shape[1] > 5 and second is None:
        boxes = _read_yolox(first, size_hw, person_class)
    else:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise DataError(
            f"{source}: outputs of the shapes {shapes} are none of the known layouts: (1, N, 5) "
            "with (1, N) labels, (1, N, 4) with (1, N, C) scores, or (1, N, 5 + C)."
        )
    return boxes.astype(np.float32)


def _read_yolox(rows: NDArray, size_hw: tuple[int, int], person_class: int) -> NDArray:
    grids = []
    for stride in _YOLOX_STRIDES:
        y, x = np.mgrid[: size_hw[0] // stride, : size_hw[1] // stride]
        grids.append(np.stack([x, y, np.full_like(x, stride)], axis=-1).reshape(-1, 3))
    grid = np.concatenate(grids)
    strides = grid[:, 2:]
    center, size = (rows[:, :2] + grid[:, :2]) * strides, np.exp(rows[:, 2:4]) * strides
    score = rows[:, 4] * rows[:, 5 + person_class]
    return np.column_stack([center - size / 2, center + size / 2, score])


def nms(boxes: Boxes, threshold: float) -> list[int]:
    """Keeps boxes (N, 5) by falling score > 0, unless they overlap one that is kept too much."""
    xywh = np.hstack([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(xywh.tolist(), boxes[:, 4].tolist(), 0.0, threshold)
    return [int(i) for i in kept]


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            'A detector needs ONNX Runtime: pip install "mmsapiens[detector]". Or give the boxes '
            "in a JSON file."
        ) from error
    return onnxruntime
