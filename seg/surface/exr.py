"""Depth from OpenEXR files, which OpenCV's wheels cannot read since version 5."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.decoding import read_bytes
from engine.errors import ConfigError, DataError

_DEPTH_NAMES = ("Z", "V", "Y", "R")


def read_exr_depth(path: str | Path) -> NDArray[np.float32]:
    """Reads one channel of an OpenEXR file as (H, W) float32.

    The channel is the file's only one, else the one called Z (also ``layer.Z``), V, Y or R.

    Raises:
        ConfigError: If OpenEXR is not installed.
        DataError: If the file is missing, damaged, of several parts, or has no such channel.
    """
    library, data = _library(), read_bytes(path)
    try:
        # Threads of the library would not survive the fork of data workers.
        with library.File(io.BytesIO(data), separate_channels=True, num_threads=0) as file:
            parts = file.parts
            if len(parts) == 1:
                return _depth_of(parts[0], path)
    except (RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} is damaged or no OpenEXR file: {error}. Copy the file again."
        ) from error
    if not parts:  # what the library makes of pixels that it cannot read
        raise DataError(f"{path} is damaged: its pixels cannot be read. Copy the file again.")
    raise DataError(f"{path} has {len(parts)} parts. Save it with one, or as .npy.")


def _depth_of(part: Any, path: str | Path) -> NDArray[np.float32]:
    low, high = part.header["dataWindow"]
    width, height = (int(n) for n in high - low + 1)
    pixels = part.channels[_choose(list(part.channels), path)].pixels
    if pixels.dtype == object or pixels.shape != (height, width):
        raise DataError(f"{path} is deep or subsampled. Save one depth a pixel, or as .npy.")
    return pixels.astype(np.float32)


def _choose(names: list[str], path: str | Path) -> str:
    if len(names) == 1:
        return names[0]
    for wanted in _DEPTH_NAMES:
        for name in names:
            if name.rpartition(".")[2] == wanted:
                return name
    raise DataError(f"{path} has the channels {names}; expected one, or one called Z.")


def _library() -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise ConfigError(
            'Reading .exr needs OpenEXR: pip install "mmsapiens[exr]", or save depth as .npy.'
        ) from error
    return OpenEXR
