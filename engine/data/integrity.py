"""What shows that an encoded image is damaged, or larger than any memory, before or while decoding.

What a format lets one see differs. A PNG has checksums: any change shows. A JPEG has an end; a
change before it shows only if the decoder stumbles, and it then goes on with a warning.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from engine.errors import ConfigError, DataError, MMSapiensError

MAX_PIXELS = 178_956_970
"""Of one image, about 13000 x 13000: where Pillow takes a file for a decompression bomb."""
LIMIT_VARIABLE = "MMSAPIENS_MAX_PIXELS"
"""The environment variable of another limit; it reaches the processes that read data as well."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAID_OF_DAMAGE = re.compile(
    r"(?:\[ *ERROR:.*TIFF_Error (?P<tiff>.*)"
    r"|(?P<jpeg>(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progression).*))\n?"
)
_stderr_lock = threading.Lock()


def max_pixels() -> int:
    """Returns how many pixels an image, mask or map may have.

    Raises:
        ConfigError: If the environment variable is no whole number above 0.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    if text is None:
        return MAX_PIXELS
    if not text.isdecimal() or int(text) == 0:
        raise ConfigError(f"{LIMIT_VARIABLE}={text!r}: expected a number of pixels above 0.")
    if Image.MAX_IMAGE_PIXELS is not None and int(text) > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = int(text)  # Pillow would keep to its own
    return int(text)


def require_size(name: str | Path, height: int, width: int) -> None:
    """Refuses an image by the size that its header says, before there is memory for its pixels.

    Raises:
        DataError: If it has no pixels, or too many.
    """
    limit = max_pixels()
    if height < 1 or width < 1:
        raise DataError(f"{name} is damaged: its header says {height}x{width} (height x width).")
    if height * width > limit:
        size = f"its header says {height}x{width} pixels (height x width)."
        raise DataError(f"{name}: {_too_large(size, limit)}")


def _too_large(found: str, limit: int) -> str:
    return (
        f"{found} At most {limit} pixels are read. If the file is sound, shrink it, or set the "
        f"environment variable {LIMIT_VARIABLE}."
    )


@contextmanager
def open_image(data: bytes, name: str | Path) -> Iterator[Image.Image]:
    """Opens an encoded image with Pillow, which reads no more than the header until asked to.

    Raises:
        DataError: If it is too large, or what is done with it inside fails: parsers raise many
            kinds of errors for damaged files.
    """
    limit = max_pixels()
    try:
        with Image.open(io.BytesIO(data)) as image:
            require_size(name, image.height, image.width)
            yield image
    except MMSapiensError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: {_too_large(str(error), limit)}") from error
    except Exception as error:
        known = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        raise DataError(
            f"{name} ({len(data)} bytes) is not an image that can be read: it is empty, damaged or "
            f"of another format{known}. Copy the file again, or remove it from the dataset."
        ) from error


def require_whole(data: bytes, name: str | Path) -> None:
    """Requires the end of a PNG or JPEG, and the checksums of a PNG.

    (Decoders fill the missing part of a cut file, with grey or zeros.)

    Raises:
        DataError: If the file is cut short or was changed.
    """
    damage = ""
    if data.startswith(_PNG_SIGNATURE):
        damage = _png_damage(data)
    elif _is_cut_jpeg(data):
        damage = "is cut short: the JPEG has no end marker"
    if damage:
        raise DataError(f"{name} {damage}. Copy the file again.")


def _png_damage(data: bytes) -> str:
    """What is wrong with the chunks of a PNG (PNG specification, section 5.3); "" if nothing is."""
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return f"is damaged: the checksum of the PNG chunk at byte {position} is wrong"
        if kind == b"IEND":
            return ""
        position = end + 4
    return f"is cut short: the PNG ends within the chunk at byte {position}"


def is_jpeg(data: bytes) -> bool:
    """Whether the data begins as a JPEG does."""
    return data.startswith(b"\xff\xd8")


def _is_cut_jpeg(data: bytes) -> bool:
    """Whether a JPEG's scan has no end marker (ITU-T T.81, annex B).

    Walks the header's segments first, since a thumbnail in them has an end marker of its own.
    """
    if not is_jpeg(data):
        return False
    position = 2
    while data[position : position + 1] == b"\xff" and data[position + 1 : position + 2] != b"\xda":
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return data.find(b"\xff\xd9", position) < 0


@contextmanager
def decoder_warnings() -> Iterator[list[str]]:
    """Collects what decoders say of damage: they print it, and return pixels all the same.

    Measured on photographs of 70 KB: libjpeg warns of a quarter of single flipped bits in a JPEG's
    scan, and of nearly all files with ten changed bytes or 512 zeroed ones. The rest decodes
    without a stumble; no decoder can tell.

    The standard error of the whole process is caught meanwhile, one thread at a time; what else
    arrives there is passed on afterwards.

    Yields:
        A list that fills with the decoders' words at the end.
    """
    found: list[str] = []
    with _stderr_lock, tempfile.TemporaryFile() as file:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield found
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said = file.read().decode(errors="replace")
            for match in _SAID_OF_DAMAGE.finditer(said):
                found.append((match["tiff"] or match["jpeg"]).strip())
            os.write(2, _SAID_OF_DAMAGE.sub("", said).encode())
