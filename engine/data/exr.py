"""Reading depth from OpenEXR files, which OpenCV's wheels cannot do since version 5."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.data.decoding import read_bytes
from engine.errors import DataError

_MAGIC = 20000630
_TILED_DEEP_OR_MULTIPART = 0x200 | 0x800 | 0x1000
_PIXEL_TYPES = ("<u4", "<f2", "<f4")
_LINES_PER_BLOCK = {0: 1, 2: 1, 3: 16}  # by compression: none, ZIPS, ZIP
_DEPTH_NAMES = ("Z", "V", "Y", "R")


class _Header(NamedTuple):
    channels: list[tuple[str, np.dtype]]
    compression: int
    size_hw: tuple[int, int]
    top: int
    end: int  # offset of the table of blocks


def read_exr_depth(path: str | Path) -> NDArray[np.float32]:
    """Reads one channel of an OpenEXR file as (H, W) float32.

    The file holds scan lines, uncompressed or with ZIP or ZIPS (the format's specification,
    "OpenEXR File Layout"). The channel is its only one, else the one called Z (also ``layer.Z``),
    V, Y or R.

    Raises:
        DataError: If the file is missing, damaged, of another kind, or has no such channel.
    """
    data = read_bytes(path)
    try:
        header = _read_header(data, path)
        return _read_blocks(data, header, _choose(header, path))
    except (struct.error, ValueError, IndexError, KeyError, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is damaged: {error}. Copy the file again.") from error


def _read_header(data: bytes, path: str | Path) -> _Header:
    magic, version = struct.unpack_from("<ii", data)
    if magic != _MAGIC or version & _TILED_DEEP_OR_MULTIPART:
        raise DataError(
            f"{path} is no OpenEXR file of one part in scan lines. Save it as such, or as .npy."
        )
    attributes: dict[str, bytes] = {}
    position = 8
    while data[position]:
        name_end = data.index(b"\0", position)
        type_end = data.index(b"\0", name_end + 1)
        (size,) = struct.unpack_from("<i", data, type_end + 1)
        value = type_end + 5
        attributes[data[position:name_end].decode()] = data[value : value + size]
        position = value + size
    x0, y0, x1, y1 = struct.unpack("<4i", attributes["dataWindow"])
    compression = attributes["compression"][0]
    if compression not in _LINES_PER_BLOCK:
        raise DataError(
            f"{path} has compression {compression} of OpenEXR; none (0), ZIPS (2) and ZIP (3) can "
            "be read. Save it with ZIP, which loses nothing, or as .npy."
        )
    channels = _read_channels(attributes["channels"])
    return _Header(channels, compression, (y1 - y0 + 1, x1 - x0 + 1), y0, position + 1)


def _read_channels(data: bytes) -> list[tuple[str, np.dtype]]:
    channels, position = [], 0
    while data[position]:
        end = data.index(b"\0", position)
        (kind,) = struct.unpack_from("<i", data, end + 1)
        channels.append((data[position:end].decode(), np.dtype(_PIXEL_TYPES[kind])))
        position = end + 17  # type, linearity, two samplings
    return channels


def _choose(header: _Header, path: str | Path) -> int:
    names = [name for name, _ in header.channels]
    if len(names) == 1:
        return 0
    for wanted in _DEPTH_NAMES:
        for index, name in enumerate(names):
            if name.rpartition(".")[2] == wanted:
                return index
    raise DataError(f"{path} has the channels {names}; expected one, or one called Z.")


def _read_blocks(data: bytes, header: _Header, chosen: int) -> NDArray[np.float32]:
    height, width = header.size_hw
    lines = _LINES_PER_BLOCK[header.compression]
    sizes = [dtype.itemsize * width for _, dtype in header.channels]
    start, line_size = sum(sizes[:chosen]), sum(sizes)
    values = np.empty((height, width), np.float32)
    offsets = struct.unpack_from(f"<{-(-height // lines)}Q", data, header.end)
    for offset in offsets:
        y, size = struct.unpack_from("<ii", data, offset)
        row = y - header.top
        rows = min(lines, height - row)
        block = data[offset + 8 : offset + 8 + size]
        if size < rows * line_size:  # a block that would not shrink is stored as it is
            block = _undo_zip(block)
        pixels = np.frombuffer(block, np.uint8).reshape(rows, line_size)
        channel = np.ascontiguousarray(pixels[:, start : start + sizes[chosen]])
        values[row : row + rows] = channel.view(header.channels[chosen][1])
    return values


def _undo_zip(block: bytes) -> bytes:
    """Inflates, sums up the differences of bytes, and puts even and odd bytes back in turn."""
    difference = np.frombuffer(zlib.decompress(block), np.uint8).astype(np.int64)
    difference[1:] -= 128
    joined = np.cumsum(difference).astype(np.uint8)
    half = (len(joined) + 1) // 2
    turns = np.empty_like(joined)
    turns[::2], turns[1::2] = joined[:half], joined[half:]
    return turns.tobytes()
