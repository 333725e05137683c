"""Makes TorchScript files of our models as the release made those of its own."""

from __future__ import annotations

import copy
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from engine.model.layers import InstanceNormSiLU, stages


def save_torchscript(model: nn.Module, path: Path, images: torch.Tensor) -> Path:
    """Traces a model's raw output for normalised images (1, 3, H, W); returns the path.

    The traced copy has the release's layers, each of which a trace can say.
    """
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential) and any(
            isinstance(layer, InstanceNormSiLU) for layer in module
        ):
            for index in range(0, len(module), len(stages(module)[0])):
                module[index + 1] = nn.InstanceNorm2d(module[index].out_channels)
                module[index + 2] = nn.SiLU()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that tracing is of the past
        torch.jit.trace(model, images, check_trace=False).save(path)
    return path


def rewrite(path: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Writes the archive anew, as torch does; ``change`` gives the content of each record."""
    with zipfile.ZipFile(path) as archive:
        records = {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}
    writer = torch._C.PyTorchFileWriter(str(target))
    for name, content in records.items():
        if name != "version" and not name.startswith(".data"):
            content = change(name, content)
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    return target
