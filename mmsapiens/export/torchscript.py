"""TorchScript: a traced graph, which any PyTorch so far reads; C++ does, too."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmsapiens.export.metadata import RECORD
from mmsapiens.export.writing import Text, writing

ENDING = "_torchscript.pt2"


def write(network: nn.Module, images: Tensor, path: Path, text: Text, dynamic: bool) -> None:
    """Traces the network; its batch is free anyhow.

    Args:
        network: What to export.
        images: An example of its input.
        path: The file.
        text: Makes the metadata, given what only the format knows.
        dynamic: Whether batches may be of any size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing is of the past; sizes become constants
        traced = torch.jit.trace(network, images, check_trace=False)
    with writing(path):
        torch.jit.save(traced, str(path), _extra_files={RECORD: text()})


def open_graph(path: Path, device: torch.device) -> Any:
    """Returns what maps images to raw output. The file's operations run, and no Python of it."""
    return torch.jit.load(str(path), map_location=device)
