"""Reading masks, depth and surface normals."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data.decoding import decode, read_bytes
from engine.data.files import MASK_SUFFIXES, as_on_disk
from engine.data.integrity import require_size
from engine.errors import ConfigError, DataError

NormalAxes = Literal[
    "x right, y up, z towards",
    "x right, y down, z away",
    "x right, y up, z away",
    "x right, y down, z towards",
]
"""Camera axes of normals in files; towards and away mean the camera. See docs/normals.md."""
DEPTH_ARRAYS = (".npy", ".exr")
"""Files of depth in which 0 is a depth; in images it stands for "not measured"."""
OUR_AXES: NormalAxes = "x right, y up, z towards"
"""Those inside this project: in samples, targets, predictions and written files."""


def read_mask(path: str | Path) -> NDArray[np.uint8]:
    """Reads a mask (H, W) of zeros and ones from an image or a .npy file; not zero is foreground.

    A pixel of a colour image is foreground if any of its colours is not zero; alpha is not read.

    Raises:
        DataError: If the file cannot be read, or is an array that is neither bool nor integer.
    """
    if Path(path).suffix.lower() != ".npy":
        image = _read_image_unchanged(path)
        is_set = image != 0 if image.ndim == 2 else image[..., :3].any(axis=2)
        return np.asarray(is_set, np.uint8)
    mask = _read_npy(path)
    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise DataError(
            f"{path} is {mask.dtype} {mask.shape}; a mask is (H, W), bool or integers with 0 for "
            "the background. Is it depth rather than a mask?"
        )
    return (mask != 0).astype(np.uint8)


def read_depth(path: str | Path, scale: float = 1.0) -> NDArray[np.float32]:
    """Reads depth (H, W) from .npy (any floats or integers), .exr, or a grey image.

    Args:
        path: The file.
        scale: Factor of all values, such as 0.001 for images in millimetres.

    Returns:
        float32; NaN where an image of integers holds 0, which stands for "not measured" there.

    Raises:
        DataError: If the file cannot be read or is not of one channel.
    """
    stored = read_stored_depth(path)
    depth = stored.astype(np.float32, copy=False)
    if Path(path).suffix.lower() not in DEPTH_ARRAYS and stored.dtype.kind in "ui":
        depth[stored == 0] = np.nan
    return depth if scale == 1 else depth * np.float32(scale)


def read_stored_depth(path: str | Path) -> NDArray:
    """Reads depth (H, W) as the file has it, of any kind of number.

    Raises:
        DataError: If the file cannot be read or is not of one channel.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".exr":
        return read_exr_depth(path)
    depth = _read_npy(path) if suffix == ".npy" else _read_image_unchanged(path)
    if depth.ndim != 2 or depth.dtype.kind not in "fui":
        raise DataError(f"{path} is {depth.dtype} {depth.shape}; depth is (H, W), one number each.")
    return depth


def read_normal(path: str | Path, signs: Sequence[float]) -> NDArray[np.float32]:
    """Reads normals (H, W, 3) from a .npy file of floats, and turns them to our axes.

    Args:
        path: The file.
        signs: Factors (3,) of X, Y, Z: those of :func:`axis_signs`.

    Raises:
        DataError: If the file cannot be read, or is of another shape or kind.
    """
    normal = _read_npy(path)
    if normal.ndim != 3 or normal.shape[2] != 3 or normal.dtype.kind != "f":
        raise DataError(
            f"{path} is {normal.dtype} {normal.shape}; normals are (H, W, 3), floats X, Y, Z in "
            "[-1, 1]."
        )
    return normal.astype(np.float32) * np.asarray(signs, np.float32)


def axis_signs(axes: NormalAxes) -> tuple[int, int, int]:
    """Factors of X, Y, Z that turn normals of these axes to ours, and back.

    Raises:
        ConfigError: If there are no such axes.
    """
    if axes not in get_args(NormalAxes):
        known = ", ".join(map(repr, get_args(NormalAxes)))
        raise ConfigError(f"axes={axes!r}: expected one of {known}.")
    return 1, 1 if "y up" in axes else -1, 1 if "z towards" in axes else -1


def _read_image_unchanged(path: str | Path) -> NDArray:
    return decode(read_bytes(path), path, cv2.IMREAD_UNCHANGED)


def _read_npy(path: str | Path) -> NDArray:
    """Reads an array whose header says what the file holds, no more and no less."""
    try:
        with open(path, "rb") as file:
            shape, is_fortran, dtype = _read_npy_header(file)
            require_size(path, *(*shape, 1, 1)[:2])
            expected, found = math.prod(shape) * dtype.itemsize, Path(path).stat().st_size
            if file.tell() + expected != found:
                raise DataError(
                    f"{path} is damaged: its header says {dtype} {shape}, {expected} bytes, and "
                    f"{found - file.tell()} follow. Copy the file again."
                )
            values = np.fromfile(file, dtype)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.") from error
    except DataError:
        raise
    except Exception as error:  # a damaged header is parsed as Python: errors of many kinds
        raise DataError(f"{path} cannot be read as a NumPy array: {error}") from error
    return values.reshape(shape, order="F" if is_fortran else "C")


def _read_npy_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version not in ((2, 0), (3, 0)):
        raise ValueError(f"its version is {version}")
    return np.lib.format.read_array_header_2_0(file)


def load_mask(seg_dir: Path, stem: str, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Reads the mask of an image, resized to it if need be.

    Args:
        seg_dir: Folder of the masks.
        stem: Path of the image's results relative to the output folder, without suffix.
        size_hw: Height and width of the image.

    Returns:
        (H, W), 1 on the foreground and 0 elsewhere.

    Raises:
        DataError: If there is no ``<stem>.npy``, ``.png`` or ``_mask.png``, or it is no mask.
    """
    suffixes = (*MASK_SUFFIXES, "_mask.png")
    paths = [Path(as_on_disk(seg_dir, f"{stem}{suffix}")) for suffix in suffixes]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise DataError(
            f"no mask: neither {paths[0]} nor {paths[1].name} nor {paths[2].name} exists."
        )
    mask = cv2.resize(read_mask(found[0]), size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(mask, np.uint8)


def read_exr_depth(path: str | Path) -> NDArray[np.float32]:
    """Reads one channel of an OpenEXR file as (H, W) float32.

    The channel is the file's only one, else the one called Z (also ``layer.Z``), V, Y or R.

    Raises:
        ConfigError: If OpenEXR is not installed.
        DataError: If the file is missing, damaged, of several parts, or has no such channel.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise ConfigError(
            'Reading .exr needs OpenEXR: pip install "mmsapiens[exr]", or save depth as .npy.'
        ) from error
    data = read_bytes(path)
    for low_x, low_y, high_x, high_y in _data_windows(data, path):
        require_size(path, high_y - low_y + 1, high_x - low_x + 1)
    try:
        # Threads of the library would not survive the fork of data workers.
        with OpenEXR.File(io.BytesIO(data), separate_channels=True, num_threads=0) as file:
            parts = file.parts
            if len(parts) == 1:
                return _depth_of(parts[0], path)
    except DataError:
        raise
    except Exception as error:  # the library raises many kinds for damaged files
        raise DataError(
            f"{path} is damaged or no OpenEXR file: {error}. Copy the file again."
        ) from error
    if not parts:  # what the library makes of pixels that it cannot read
        raise DataError(f"{path} is damaged: its pixels cannot be read. Copy the file again.")
    raise DataError(f"{path} has {len(parts)} parts. Save it with one, or as .npy.")


def _data_windows(data: bytes, path: str | Path) -> Iterator[tuple[int, int, int, int]]:
    """Yields x1, y1, x2, y2 (inclusive) of each part, from the headers of an OpenEXR file.

    A header is a list of attributes, name\\0 type\\0 size value, that an empty name ends (OpenEXR
    File Layout). The library itself reads all pixels with it.

    Raises:
        DataError: If the headers cannot be followed.
    """
    position = 8  # behind the magic number and the version
    try:
        is_multipart = data[5] & 0x10
        while data[position]:
            while data[position]:
                name_end = data.index(0, position)
                value = data.index(0, name_end + 1) + 5
                (size,) = struct.unpack_from("<i", data, value - 4)
                if data[position:name_end] == b"dataWindow":
                    yield struct.unpack_from("<4i", data, value)
                if size < 0:
                    raise ValueError("an attribute of negative size")
                position = value + size
            position += 1
            if not is_multipart:
                return
    except (IndexError, ValueError, struct.error) as error:
        raise DataError(
            f"{path} is damaged or no OpenEXR file: its header cannot be followed ({error}). Copy "
            "the file again."
        ) from error


def _depth_of(part: Any, path: str | Path) -> NDArray[np.float32]:
    low, high = part.header["dataWindow"]
    width, height = (int(n) for n in high - low + 1)
    names = list(part.channels)
    known = [n for last in ("Z", "V", "Y", "R") for n in names if n.rpartition(".")[2] == last]
    if len(names) > 1 and not known:
        raise DataError(f"{path} has the channels {names}; expected one, or one called Z.")
    pixels = part.channels[names[0] if len(names) == 1 else known[0]].pixels
    if pixels.dtype == object or pixels.shape != (height, width):
        raise DataError(f"{path} is deep or subsampled. Save one depth a pixel, or as .npy.")
    return pixels.astype(np.float32)
