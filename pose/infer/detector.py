"""People found by a detector in ONNX format: RTMDet, YOLOX, RF-DETR, or one of Ultralytics.

It needs ONNX Runtime: ``pip install "mmsapiens[detector]"``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.geometry import SizeHW
from engine.errors import ConfigError, DataError
from pose.infer.boxes import Boxes
from pose.infer.detector_kinds import KINDS, read_outputs, recognise

_DEFAULT_SIDE = 640
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


@dataclass(eq=False)
class OnnxDetector:
    """Finds people; see :class:`pose.infer.BoxSource`.

    It runs on the GPU if this ONNX Runtime can, but not in data workers, whose processes are
    forked from one that may use the GPU already.

    Args:
        path: The .onnx file.
        kind: A key of :data:`pose.infer.detector_kinds.KINDS`, which tell how images are
            normalised and what outputs mean; ``"auto"`` recognises it by the outputs of an empty
            image. MMDeploy's files of YOLOX look like those of RTMDet, which is then assumed.
        score_thr: Lowest score of a person.
        nms_thr: Overlap (IoU) above which the weaker of two boxes is dropped.
        person_class: Which class is a person; None for 1 if there are 91, as COCO's ids are, else
            0.

    Attributes:
        size_hw: Of the model's input.

    Raises:
        ConfigError: If the file or ONNX Runtime is missing.
        DataError: If the file is no detector, or none of that kind.
    """

    path: str | Path
    kind: Literal["auto", "rtmdet", "yolox", "ultralytics", "rfdetr"] = "auto"
    score_thr: float = 0.3
    nms_thr: float = 0.65
    person_class: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("auto", *KINDS):
            raise ConfigError(
                f"OnnxDetector: kind is auto, {', '.join(KINDS)}; found {self.kind!r}."
            )
        if not Path(self.path).is_file():
            raise ConfigError(f"The detector {self.path} does not exist; expected a .onnx file.")
        session = self._open()  # not kept: it must not be inherited by data workers
        self._session: Any = None
        inputs = session.get_inputs()
        shape, kind = inputs[0].shape, inputs[0].type
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or kind not in _TYPES:
            found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise DataError(
                f"{self.path}: expected one input (1, 3, H, W) of float32 or float16, found "
                f"{found}."
            )
        height, width = (n if isinstance(n, int) else _DEFAULT_SIDE for n in shape[2:])
        self.size_hw: SizeHW = (height, width)
        self._input, self._type = inputs[0].name, _TYPES[kind]
        outputs = self._run(session, np.zeros((height, width, 3), np.float32))
        if self.kind == "auto":
            self.kind = recognise(outputs, self.size_hw, self.path)  # type: ignore[assignment]
        read_outputs(outputs, self.size_hw, self.person_class, self.path, self.kind)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_session": None}  # each process opens its own

    def __call__(self, image_bgr: NDArray, name: str) -> Boxes:
        """Returns the people of an image (N, 5), best first."""
        if self._session is None:
            self._session = self._open()
        blob, scale_xy = KINDS[self.kind].prepare(image_bgr, self.size_hw)
        outputs = self._run(self._session, blob)
        boxes = read_outputs(outputs, self.size_hw, self.person_class, self.path, self.kind)
        boxes = boxes[boxes[:, 4] >= self.score_thr]
        boxes[:, :4] /= np.tile(np.array(scale_xy, np.float32), 2)
        height, width = image_bgr.shape[:2]
        boxes[:, :4] = boxes[:, :4].clip(0, [width, height] * 2)
        boxes = boxes[(boxes[:, 2:4] > boxes[:, :2]).all(axis=1)]
        return boxes[nms(boxes, self.nms_thr)]

    def _open(self) -> Any:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()  # one in a data worker
        is_worker = torch.utils.data.get_worker_info() is not None
        providers = choose_providers(runtime.get_available_providers(), is_worker)
        try:
            return runtime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # its classes have no common base
            reason = str(error).splitlines()[0]
            raise DataError(
                f"{self.path} is no model that ONNX Runtime {runtime.__version__} can run: {reason}"
            ) from error

    def _run(self, session: Any, blob: NDArray) -> list[NDArray]:
        """Outputs of an image (H, W, 3)."""
        planes = np.ascontiguousarray(blob.transpose(2, 0, 1)[None], self._type)
        return session.run(None, {self._input: planes})


def choose_providers(available: list[str], is_worker: bool) -> list[str]:
    """Returns which of ONNX Runtime's devices to use, best first."""
    return [p for p in _PROVIDERS if p in available and not (is_worker and p == _PROVIDERS[0])]


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
