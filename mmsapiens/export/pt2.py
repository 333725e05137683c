"""Programs of torch.export, as they are or compiled by AOTInductor."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import ConfigError
from mmsapiens.export.metadata import RECORD
from mmsapiens.export.writing import Text, quiet, writing

ENDING = ".pt2"
AOT_ENDING = "_aot.pt2"


def trace(network: nn.Module, images: Tensor, dynamic: bool) -> Any:
    """Returns the program of a network, for batches of any size or that of the example.

    The example of a free batch must be of two images or more: sizes of 0 and 1 become constants.
    """
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    with torch.no_grad():
        return torch.export.export(network, (images,), dynamic_shapes=shapes)


def write(network: nn.Module, images: Tensor, path: Path, text: Text, dynamic: bool) -> None:
    """Writes the program; for arguments see :func:`mmsapiens.export.torchscript.write`."""
    program = trace(network, images, dynamic)
    with writing(path), quiet():
        torch.export.save(program, str(path), extra_files={RECORD: text()})


def open_graph(path: Path, device: torch.device) -> Any:
    """Returns what maps images to raw output. PyTorch unpickles, which may run code of the file."""
    program = torch.export.load(str(path))
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return program.module()


def write_aot(network: nn.Module, images: Tensor, path: Path, text: Text, dynamic: bool) -> None:
    """Compiles the program for this machine's CPU.

    Raises:
        ConfigError: There is no C++ compiler.
    """
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise ConfigError(
            f"--aot compiles C++, and there is no {compiler}. Install it, name another in the "
            "environment variable CXX, or leave out --aot: --format pt2 needs none."
        )
    program = trace(network, images, dynamic)
    try:
        with quiet():
            torch._inductor.aoti_compile_and_package(program, package_path=str(path))
    except RuntimeError as error:
        raise ConfigError(
            f"AOTInductor could not compile the model: {str(error).splitlines()[0]}. Leave out "
            "--aot."
        ) from error
    with writing(path), zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/extra/{RECORD}", text())


def open_aot(path: Path, device: torch.device) -> Any:
    """Returns what maps images to raw output: machine code of the file."""
    if device.type != "cpu":
        raise ConfigError(f"{path} was compiled for a CPU. Give --device cpu.")
    return torch._inductor.aoti_load_package(str(path))
