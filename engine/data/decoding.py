"""From bytes to pixels: at once, or when it is known how many pixels are needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from engine.data.geometry import SizeHW
from engine.data.integrity import decoder_warnings, open_image, require_whole
from engine.errors import DataError

_DECODE_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_bytes(path: str | Path, span: tuple[int, int] | None = None) -> bytes:
    """Reads a file, or the part (offset, length) of it.

    Raises:
        DataError: If the file is missing, cannot be read, or ends before the part does.
    """
    offset, length = span or (0, -1)
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(length)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.") from error
    except (OSError, ValueError) as error:  # the latter if the path holds a NUL
        raise DataError(f"{path} cannot be read: {error}") from error
    if span and len(data) < length:
        raise DataError(f"{path} ends within an image. Copy the file again.")
    return data


def read_json(path: str | Path) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: If it is missing or damaged.
    """
    data = read_bytes(path)
    try:
        return json.loads(data)
    except ValueError as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error


def decode_image(
    data: bytes, name: str | Path, reduction: int = 1, *, strict: bool = False
) -> NDArray:
    """Decodes an image; see ``engine.data.loading.read_image``.

    Args:
        data: The encoded image.
        name: Its name, for errors.
        reduction: 2, 4 or 8 decodes a JPEG at that fraction of its resolution.
        strict: Also refuse what the decoder warns of: see ``decoder_warnings``.

    Raises:
        DataError: If it is damaged or too large, or no image that OpenCV can read.
    """
    if not strict:
        return decode(data, name, _DECODE_FLAGS[reduction])
    with decoder_warnings() as warnings:
        image = decode(data, name, _DECODE_FLAGS[reduction])
    if warnings:
        raise DataError(f"{name} is damaged: {warnings[0]}. Copy the file again.")
    return image


def decode(data: bytes, name: str | Path, flags: int) -> NDArray:
    """Decodes an image with flags of OpenCV, after a look at its size and its end.

    Raises:
        DataError: If it is damaged or too large, or no image that OpenCV can read.
    """
    require_whole(data, name)
    with open_image(data, name):
        pass
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise DataError(f"{name} cannot be decoded: {error}") from error
    if image is None:
        raise DataError(
            f"{name} ({len(data)} bytes) is not an image that OpenCV can read: it is damaged or of "
            "another format. Copy the file again, or remove it from the dataset."
        )
    return image


def exif_orientation(image: Image.Image) -> int:
    """How an image is turned (TIFF 6.0, 1 to 8); 1, upright, if it does not say."""
    return image.getexif().get(ExifTags.Base.Orientation, 1)


@dataclass(frozen=True)
class EncodedJpeg:
    """A JPEG of which only the header was read; it stands for the image until ``Warp``.

    Decoding at a fraction of the resolution is cheap: libjpeg leaves out the high frequencies of
    each block of 8 x 8 pixels.
    """

    data: bytes
    name: str
    shape: tuple[int, int, int]
    """(H, W, 3) of the whole image, turned as its EXIF orientation says."""
    is_turned: bool
    """Whether it is turned at all."""
    strict: bool = False
    """See ``decode_image``."""

    @classmethod
    def open(cls, data: bytes, name: str, *, strict: bool = False) -> EncodedJpeg:
        """Reads the header.

        Raises:
            DataError: If it cannot be read.
        """
        with open_image(data, name) as image:
            width, height = image.size
            orientation = exif_orientation(image)
        if orientation in (5, 6, 7, 8):  # quarter turns
            height, width = width, height
        return cls(
            data, name, (height, width, 3), is_turned=orientation in range(2, 9), strict=strict
        )

    def reduced_hw(self, reduction: int) -> SizeHW | None:
        """The size at 1 / ``reduction``; None if the pixel grid would shift.

        An incomplete last pixel must be at the right and at the bottom, as in an image that is
        not turned.
        """
        height, width, _ = self.shape
        if self.is_turned and (height % reduction or width % reduction):
            return None
        return -(-height // reduction), -(-width // reduction)

    def decode(self, reduction: int = 1) -> NDArray:
        """Decodes at 1 / ``reduction`` of the resolution, 1, 2, 4 or 8; (h, w, 3) uint8 BGR.

        Raises:
            DataError: If it is damaged.
        """
        image = decode_image(self.data, self.name, reduction, strict=self.strict)
        if image.shape[:2] != self.reduced_hw(reduction):
            raise DataError(f"{self.name}: the header says another size than the image has.")
        return image
