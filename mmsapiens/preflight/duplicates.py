"""Images that are there twice, exactly or nearly."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmsapiens.preflight.check import Case, Finding, Item

THUMBNAIL = 8
MAX_DIFFERENCE = 2.0
"""Mean difference of two thumbnails (levels of 0-255) up to which they show the same image."""


class Fingerprint(NamedTuple):
    """What remains of an image.

    Attributes:
        digest: Hash of its pixels.
        average_hash: Which cells of the grey 8x8 thumbnail are above its mean, 64 bits.
        thumbnail: (8, 8, 3) uint8.
    """

    digest: bytes
    average_hash: bytes
    thumbnail: NDArray


Printed = tuple[Item, Fingerprint]


def fingerprint(image: NDArray) -> Fingerprint:
    """Takes the fingerprint of an image (H, W, 3) uint8."""
    digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
    digest.update(str(image.shape).encode())
    thumbnail = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    grey = thumbnail.mean(axis=2)
    return Fingerprint(digest.digest(), np.packbits(grey > grey.mean()).tobytes(), thumbnail)


def find_duplicates(prints: Sequence[Printed]) -> list[Finding]:
    """Finds equal images, and those that look equal at 8x8 pixels.

    The latter are sought among images of equal average hash only, which takes no time but misses
    some: a copy in which one of 64 cells comes to lie on the other side of the mean.

    Args:
        prints: Of each image of each split.
    """
    exact = list(_grouped(prints, "digest"))
    firsts = list({p.digest: (item, p) for item, p in reversed(prints)}.values())[::-1]
    near = [group for bucket in _grouped(firsts, "average_hash") for group in _similar(bucket)]
    return [
        Finding(
            "leak",
            "fault",
            "the same image in training and evaluation, whose figures are then too good; remove "
            "one of them",
            _cases([group for group in exact if _leaks(group)]),
        ),
        Finding(
            "duplicate", "note", "the same image twice", _cases([g for g in exact if not _leaks(g)])
        ),
        Finding("near-duplicate", "note", "images that look alike", _cases(near)),
    ]


def _leaks(group: Sequence[Printed]) -> bool:
    """Whether a training image is also in another split."""
    splits = {item.split for item, _ in group}
    return "train" in splits and len(splits) > 1


def _grouped(prints: Sequence[Printed], attribute: str) -> Iterator[list[Printed]]:
    groups: dict[Hashable, list[Printed]] = defaultdict(list)
    for item, fingerprint in prints:
        groups[getattr(fingerprint, attribute)].append((item, fingerprint))
    return (group for group in groups.values() if len(group) > 1)


def _similar(bucket: list[Printed]) -> Iterator[list[Printed]]:
    """Splits a bucket into groups whose thumbnails are close to the group's first."""
    thumbnails = np.array([p.thumbnail for _, p in bucket], np.int16)
    left = np.arange(len(bucket))
    while len(left) > 1:
        difference = np.abs(thumbnails[left] - thumbnails[left[0]]).mean(axis=(1, 2, 3))
        close = difference <= MAX_DIFFERENCE
        if close.sum() > 1:
            yield [bucket[i] for i in left[close]]
        left = left[~close]


def _cases(groups: Sequence[list[Printed]]) -> tuple[Case, ...]:
    return tuple(
        Case(item.path, f"{item.split}; like {first.path} ({first.split})")
        for (first, _), *others in groups
        for item, _ in others
    )
