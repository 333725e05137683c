"""ONNX, by PyTorch's exporter that builds on torch.export."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ConfigError, WeightsError
from mmsapiens.export.metadata import NAME
from mmsapiens.export.pt2 import trace
from mmsapiens.export.writing import Text, quiet, writing

ENDING = ".onnx"
LARGEST = 2**31 - 2**24
"""Bytes of weights in the file itself: protobuf ends at 2 GB; more go to ``<file>.data``."""
OPSET = 18
_LOGGER = "torch.onnx._internal.exporter._registration"


def write(network: nn.Module, images: Tensor, path: Path, text: Text, dynamic: bool) -> None:
    """Writes the graph, checked; for arguments see :func:`mmsapiens.export.torchscript.write`.

    Raises:
        ConfigError: onnx or onnxscript is missing.
    """
    _require("onnx"), _require("onnxscript")
    program = trace(network, images, dynamic)
    with _quiet():
        made = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["output"],
            verbose=False,
        )
    assert made is not None
    made.model.metadata_props[NAME] = text(opset=made.model.opset_imports[""])
    num_bytes = sum(t.numel() * t.element_size() for t in program.state_dict.values())
    with writing(path):
        made.save(str(path), external_data=num_bytes > LARGEST)


def open_session(path: Path, device: torch.device | None = None) -> Any:
    """Opens a file with ONNX Runtime.

    Args:
        path: The file.
        device: Where it shall run; by default nowhere: the graph is not made fast.

    Raises:
        ConfigError: ONNX Runtime is missing, or cannot use the device.
        WeightsError: The file is no model that it can run.
    """
    runtime = _require("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    provider = "CPUExecutionProvider"
    if device is None:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    else:
        options.intra_op_num_threads = torch.get_num_threads()
        if device.type == "cuda":
            provider = "CUDAExecutionProvider"
        if provider not in runtime.get_available_providers():
            raise ConfigError(
                f"{path} is to run on {device}, and this ONNX Runtime knows the CPU only. Give "
                "--device cpu, or install onnxruntime-gpu."
            )
    try:
        return runtime.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # its classes have no common base
        raise WeightsError(
            f"{path} is no model that ONNX Runtime {runtime.__version__} can run: "
            f"{str(error).splitlines()[0]}. A file above 2 GB needs its .data file beside it."
        ) from error


def open_graph(path: Path, device: torch.device) -> Any:
    """Returns what maps images to raw output."""
    session = open_session(path, device)
    (given,) = session.get_inputs()

    def run(images: Tensor) -> Tensor:
        (raw,) = session.run(None, {given.name: images.cpu().numpy()})
        return torch.from_numpy(raw)

    return run


def _require(package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(f'ONNX files need {package}: pip install "mmsapiens[export]".') from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it nothing is said of torchvision, which is not needed, and of PyTorch's own code."""
    logger = logging.getLogger(_LOGGER)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with quiet():
            yield
    finally:
        logger.setLevel(level)
