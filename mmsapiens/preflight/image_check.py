"""Checks images: can they be read, what are they, is one there twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image

from engine.data.decoding import decode_image, exif_orientation, read_bytes
from engine.data.integrity import decoder_warnings, open_image
from engine.data.loading import LoadImage
from engine.data.sample import Sample
from engine.tables import format_table
from mmsapiens.preflight.check import Case, Finding, Item, Summary, extent, extent_table
from mmsapiens.preflight.duplicates import Fingerprint, find_duplicates, fingerprint

BLANK_DEVIATION = 2.0
"""An image whose channels (0-255) deviate less than this shows nothing."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TRAITS = {
    "grey": "images without colour; they load as three equal channels",
    "alpha": "images with an alpha channel, which is dropped",
    "palette": "images with a palette; they load as its colours",
    "16-bit": "images with 16 bits a channel; the upper 8 are used",
    "exif-rotated": (
        "images that their EXIF orientation turns or mirrors when they are loaded; make sure that "
        "their annotations were made on the turned image"
    ),
}

DAMAGED = (
    "images that decode with a warning, parts of them lost or shifted; copy them again, or look at "
    "them and allow them"
)
ASPECT_EDGES = (0.0, 1 / 2, 2 / 3, 0.9, 1.1, 3 / 2, 2, float("inf"))


class ImageFacts(NamedTuple):
    """What is measured of an image.

    Attributes:
        size_hw: Height and width after EXIF rotation.
        traits: Keys of TRAITS.
        deviation: Largest standard deviation of a channel.
        damage: What the decoder warned of; "" if of nothing.
        fingerprint: For the search for duplicates.
    """

    size_hw: tuple[int, int]
    traits: frozenset[str]
    deviation: float
    damage: str
    fingerprint: Fingerprint


class ImageCheck:
    """Sizes, kinds of files, blank images and duplicates."""

    name = "img"
    key = "img_path"

    def measure(self, sample: Sample) -> ImageFacts:
        """Reads ``img`` and measures it."""
        path = sample["img_path"]
        data = read_bytes(sample.get("archive") or path, sample.get("img_span"))
        with decoder_warnings() as warnings:
            image = sample["img"] = decode_image(data, path)
        LoadImage()(sample)
        traits = file_traits(data, path)
        coarse = image[::16, ::16]  # most images with colour show it here already
        if all((shown == shown[..., :1]).all() for shown in (coarse, image)):
            traits |= {"grey"}
        deviation = float(cv2.meanStdDev(image)[1].max())
        damage = ", ".join(warnings)
        return ImageFacts(sample["ori_size_hw"], traits, deviation, damage, fingerprint(image))

    def summarise(self, metainfo: dict, measured: Sequence[tuple[Item, ImageFacts]]) -> Summary:
        """Lists blank, unusual and double images, and tells their sizes."""
        # Several people in an image are several items, but one file.
        images = list({(item.split, item.path): (item, facts) for item, facts in measured}.values())
        blank = [item for item, facts in images if facts.deviation < BLANK_DEVIATION]
        traits = {t: [item for item, facts in images if t in facts.traits] for t in TRAITS}
        # A blank image looks like all others.
        prints = [(i, f.fingerprint) for i, f in images if f.deviation >= BLANK_DEVIATION]
        damaged = tuple(Case(item.path, facts.damage) for item, facts in images if facts.damage)
        findings = [
            Finding("damaged", "fault", DAMAGED, damaged),
            Finding("blank", "fault", "images of one colour; remove them", _cases(blank)),
            *(Finding(t, "note", TRAITS[t], _cases(items)) for t, items in traits.items()),
            *find_duplicates(prints),
        ]
        heights, widths = np.array([facts.size_hw for _, facts in images]).T
        sizes = {"height": extent(heights), "width": extent(widths)}
        counts = np.histogram(widths / heights, ASPECT_EDGES)[0].tolist()
        names = [f"{low:.2f}-{high:.2f}" for low, high in pairwise(ASPECT_EDGES)]
        aspects = dict(zip(names, counts, strict=True))
        figures = {
            **sizes,
            "aspect_histogram": aspects,
            "traits": {trait: len(items) for trait, items in traits.items()},
        }
        tables = [
            extent_table("image size in pixels", sizes, "{:g}"),
            format_table(("width / height", "images"), [(n, str(c)) for n, c in aspects.items()]),
        ]
        return Summary([f for f in findings if f.cases], figures, tables)


def _cases(items: Sequence[Item]) -> tuple[Case, ...]:
    return tuple(Case(item.path) for item in items)


def file_traits(data: bytes, name: str) -> frozenset[str]:
    """Returns which of "alpha", "palette", "16-bit", "exif-rotated" hold.

    Each loads right (see :func:`engine.data.loading.read_image`), but whoever made the labels may
    have read the file in another way.
    """
    with open_image(data, name) as image:
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
