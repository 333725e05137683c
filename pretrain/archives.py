"""Where the images of a tar archive are, and whether the archive is whole."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from engine.data.files import IMAGE_SUFFIXES, PassedOver
from engine.errors import DataError

_LARGEST_RECORD = 1 << 20
_MOST_LINKS = 8


def list_images(archive: Path) -> list[dict]:
    """Finds the images of an archive.

    Returns:
        For each ``archive``, ``img_span`` (offset, length) in it, and ``img_path``, the member's
        name below the archive's path.

    Raises:
        DataError: If the archive is compressed, cut short, or none.
    """
    try:
        with tarfile.open(archive, "r:") as tar, open(archive, "rb") as file:
            members = list(_members(tar))
            _require_end(file, tar.offset, members)
    except Exception as error:  # tarfile raises many kinds for damaged headers
        raise DataError(
            f"{archive} cannot be read as an uncompressed tar archive: {error}. Copy it again if "
            "it is cut short or damaged; unpack it if it is compressed."
        ) from error
    passed_over = PassedOver(archive)
    images, files = [], {}
    for member in members:
        files[posixpath.normpath(member.name)] = member
        if posixpath.basename(member.name).startswith("."):
            continue  # as in folders; tar of macOS adds ._a.jpg to a.jpg
        if member.name.lower().endswith(IMAGE_SUFFIXES) and not member.isdir():
            images.append(member)
        elif not member.isdir():
            suffix = posixpath.splitext(member.name)[1] or "no suffix"
            passed_over.add(f"members with {suffix}", member.name)
    passed_over.report()
    return [
        {
            "img_path": f"{archive}/{member.name}",
            "archive": str(archive),
            "img_span": _span_of(archive, member, files),
        }
        for member in images
    ]


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if tar.offset <= member.offset:  # a negative size would lead back, for ever
            raise tarfile.ReadError(f"the header at byte {member.offset} has a negative size")
        if not member.name and not member.isdir():
            raise tarfile.ReadError(f"the member at byte {member.offset} has no name")
        yield member


def _require_end(file: BinaryIO, end: int, members: Sequence[tarfile.TarInfo]) -> None:
    """Requires the mark of the end, blocks of zeros, where the headers end, and nothing behind it.

    (tarfile takes any block that is no header for the end.) Behind the mark are zeros up to a whole
    record: 10 KiB, or a power of two that the writer was told. More are those of a file that was
    not written to its end.
    """
    last = f"after member {len(members)}, {members[-1].name!r}," if members else "at its start"
    size = file.seek(0, os.SEEK_END)
    if end >= size:
        raise tarfile.ReadError(f"it ends {last} without the mark of an end")
    file.seek(end)
    record = max(tarfile.RECORDSIZE, min(size & -size, _LARGEST_RECORD))
    behind = file.read(2 * tarfile.BLOCKSIZE + record)
    if any(behind):
        offset = end + len(behind) - len(behind.lstrip(b"\0"))
        raise tarfile.ReadError(
            f"{last} at byte {end}, the next header is damaged, or data follow the end (byte "
            f"{offset}; archives joined by cat are none)"
        )
    if len(behind) < size - end:
        raise tarfile.ReadError(f"{last} at byte {end}, {size - end} bytes of zeros follow")


def _span_of(
    archive: Path, member: tarfile.TarInfo, files: Mapping[str, tarfile.TarInfo]
) -> tuple[int, int]:
    """The offset and length of a member, or of the one that it is a link to."""
    target: tarfile.TarInfo | None = member
    for _ in range(_MOST_LINKS):
        if target is None or not (target.islnk() or target.issym()):
            break
        folder = posixpath.dirname(target.name) if target.issym() else ""
        target = files.get(posixpath.normpath(posixpath.join(folder, target.linkname)))
    if target is None or not target.isreg() or target.sparse is not None:
        raise DataError(
            f"{archive}: the image {member.name!r} is no plain file in it, nor a link to one. Pack "
            "the archive anew, with --hard-dereference --dereference and without --sparse."
        )
    return target.offset_data, target.size
