"""The boxes of video files, for what a decoder does not tell.

MP4 and QuickTime: ISO/IEC 14496-12. Matroska and WebM: RFC 8794 and 9559.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import calcsize, error, unpack_from

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def is_cut_off(path: Path) -> bool:
    """Whether the boxes of an MP4, or the segment of a Matroska, reach beyond the file's end."""
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(_EBML):
        return _segment_end(start) > path.stat().st_size
    return any(end > path.stat().st_size for _, _, end in _boxes(path))


def _segment_end(data: bytes) -> int:
    """Where the segment ends that follows the header; 0 if the file does not say."""
    place = data.find(_SEGMENT) + len(_SEGMENT)
    if place < len(_SEGMENT) or place >= len(data):
        return 0
    length = 9 - data[place].bit_length()  # leading zeros tell how many bytes the size has
    value = int.from_bytes(data[place : place + length], "big") & ((1 << 7 * length) - 1)
    is_unknown = value == (1 << 7 * length) - 1  # recorders write such
    return 0 if is_unknown else place + length + value


def num_pictures(path: Path) -> int | None:
    """Returns how many pictures a file has; None if it does not say, or is not to show them all.

    (Its owner may have trimmed it: an edit list then leaves some out that the file still holds.)
    """
    start, end = next(((s, e) for kind, s, e in _boxes(path) if kind == b"moov"), (0, 0))
    with path.open("rb") as file:
        file.seek(start)
        index = file.read(end - start)
    try:
        for track in (content for kind, content in _inner(index) if kind == b"trak"):
            if _find(track, b"mdia", b"hdlr")[8:12] == b"vide":
                return None if _is_trimmed(index, track) else _num_samples(track)
    except (error, ZeroDivisionError):  # of struct: a box is too short
        pass
    return None


def _boxes(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, start of the content, and end of the outermost boxes."""
    size, start = path.stat().st_size, 0
    with path.open("rb") as file:
        while start < size:
            file.seek(start)
            length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
            if length == 1:  # of 64 bits, after the kind
                length = int.from_bytes(file.read(8), "big")
            length = max(length, 8) if length else size - start  # 0: to the end
            yield kind, min(file.tell(), start + length), start + length
            start += length


def _inner(box: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields kind and content of the boxes in a box."""
    while len(box) >= 8:
        length = max(int.from_bytes(box[:4], "big"), 8)
        yield box[4:8], box[8:length]
        box = box[length:]


def _find(box: bytes, *kinds: bytes) -> bytes:
    """The content of a box by its path, a kind each; empty if there is none."""
    for kind in kinds:
        box = next((content for found, content in _inner(box) if found == kind), b"")
    return box


def _num_samples(track: bytes) -> int:
    return unpack_from(">I", _find(track, b"mdia", b"minf", b"stbl", b"stsz"), 8)[0]


def _is_trimmed(index: bytes, track: bytes) -> bool:
    edits = _find(track, b"edts", b"elst")
    if not edits:
        return False
    form = ">Qqi" if edits[0] else ">Iii"  # duration, start (-1: a pause), rate
    (num,) = unpack_from(">I", edits, 4)
    shown = (unpack_from(form, edits, 8 + i * calcsize(form)) for i in range(num))
    ticks, _ = _times(_find(index, b"mvhd"))
    media_ticks, duration = _times(_find(track, b"mdia", b"mdhd"))
    shown_s = sum(length for length, start, _ in shown if start >= 0) / ticks
    whole_s = duration / media_ticks
    return shown_s < whole_s - 0.5 * whole_s / max(_num_samples(track), 1)


def _times(header: bytes) -> tuple[int, int]:
    """Ticks a second, and the duration in them."""
    return unpack_from(">IQ", header, 20) if header[:1] == b"\1" else unpack_from(">II", header, 12)
