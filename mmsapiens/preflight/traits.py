"""What an image file is, beyond the pixels that are read from it."""

from __future__ import annotations

from io import BytesIO

from PIL import ExifTags, Image

from engine.data.decoding import exif_orientation

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def file_traits(data: bytes) -> frozenset[str]:
    """Returns which of "alpha", "palette", "16-bit", "exif-rotated" hold.

    Each loads right (see :func:`engine.data.loading.read_image`), but whoever made the labels may
    have read the file in another way.
    """
    with Image.open(BytesIO(data)) as image:
        traits = {
            "alpha": "A" in image.getbands() or "transparency" in image.info,
            "palette": image.mode in ("P", "PA"),
            "16-bit": _bits_per_sample(data, image) > 8,
            "exif-rotated": _orientation(data, image) not in (0, 1),
        }
    return frozenset(name for name, holds in traits.items() if holds)


def _orientation(data: bytes, image: Image.Image) -> int:
    """Pillow decodes a whole PNG to look for EXIF data behind the pixels; most have none."""
    if data.startswith(PNG_SIGNATURE) and b"eXIf" not in data:
        return 1
    return exif_orientation(image)


def _bits_per_sample(data: bytes, image: Image.Image) -> int:
    """Pillow opens 16-bit colour as 8-bit RGB, so the file is asked (PNG, section 11.2.2)."""
    if data.startswith(PNG_SIGNATURE):
        return data[24]
    tags = getattr(image, "tag_v2", {})
    return max(tags.get(ExifTags.Base.BitsPerSample, (8,)))
