"""Image files: finding, sharing and reading them, and naming what is written."""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sapiens_lite.console import LiteError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Item(NamedTuple):
    """An image file.

    Attributes:
        path: The file.
        name: Its path relative to the input.
        stem: Path of its results, relative to the output folder, without suffix.
    """

    path: Path
    name: str
    stem: str


def output_folder(source: Path) -> Path:
    """Where results go unless it is said: ``output`` inside the input, or beside it."""
    return (source if source.is_dir() else source.parent) / "output"


def make_writable(folder: Path) -> None:
    """Makes the folder of the results.

    Raises:
        LiteError: If it cannot be written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable_{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise LiteError(
            f"--output_root {folder} cannot be written: {error.strerror or error}. Choose another "
            "folder, or change its rights."
        ) from error


def find_items(source: Path, out_dir: Path) -> list[Item]:
    """Lists the images of a folder with its sub-folders, or of a text file, sorted.

    Args:
        source: A folder, an image, or a ``.txt`` file with one path a line: absolute, or relative
            to the file or to the working directory.
        out_dir: Folder of the results, in which images are no input.

    Raises:
        LiteError: If there is no image.
    """
    if not source.exists():
        raise LiteError(f"--input {source} does not exist; expected a folder, an image or a list.")
    if source.is_dir():
        results = out_dir.resolve()
        paths = [
            path
            for path in _images_below(source)
            if results == source.resolve() or not path.resolve().is_relative_to(results)
        ]
        root = source
    else:
        is_list = source.suffix.lower() == ".txt"
        paths = _listed(source) if is_list else [source]
        root = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    if not paths:
        raise LiteError(f"--input {source}: no images; expected {', '.join(SUFFIXES)}.")
    names = {path: Path(os.path.relpath(path, root)) for path in sorted(set(paths))}
    counts = Counter(name.with_suffix("") for name in names.values())
    return [
        Item(path, name.as_posix(), (stem if counts[stem] == 1 else name).as_posix())
        for path, name in names.items()
        for stem in [name.with_suffix("")]
    ]


def _images_below(folder: Path) -> Iterable[Path]:
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(place, name)


def _listed(source: Path) -> list[Path]:
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LiteError(f"--input {source} cannot be read as a list of paths: {error}") from error
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    places = [(source.parent / name, Path(name)) for name in names]
    paths = [next((p for p in both if p.is_file()), both[0]) for both in places]
    if not paths:
        raise LiteError(f"--input {source} lists no images; expected one path a line.")
    if not any(path.is_file() for path in paths):
        raise LiteError(
            f"--input {source}: none of its {len(paths)} images exists, such as {names[0]}. Paths "
            f"are absolute, or relative to {source.parent.absolute()} or to where you are."
        )
    return paths


def share_of(items: Sequence[Item], part: int, num_parts: int) -> Sequence[Item]:
    """Returns the share ``part``, from 1, of consecutive ones whose sizes differ by one at most."""
    size, larger = divmod(len(items), num_parts)
    start = (part - 1) * size + min(part - 1, larger)
    return items[start : start + size + (part <= larger)]


def check_results(items: Sequence[Item], out_dir: Path, suffixes: Sequence[str]) -> None:
    """Checks that no result would replace an image or another result.

    Raises:
        LiteError: If one would.
    """
    sources = {item.path.resolve() for item in items}
    written: dict[Path, Item] = {}
    for item in items:
        for suffix in suffixes:
            path = Path(f"{(out_dir / item.stem).resolve()}{suffix}")
            if path in sources:
                raise LiteError(f"A result would replace the image {path}; change --output_root.")
            other = written.setdefault(path, item)
            if other is not item:
                raise LiteError(
                    f"{other.path} and {item.path} would both be written to {path}; rename one."
                )


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> NDArray[np.uint8]:
    """Reads an image as (H, W, 3) uint8 BGR, turned as its EXIF orientation says.

    Args:
        path: The file.
        flags: Of OpenCV, if it is to be read otherwise.

    Raises:
        LiteError: If it is missing, cut short, damaged, or no image.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise LiteError(f"{path} does not exist.") from error
    except OSError as error:
        raise LiteError(f"{path} cannot be read: {error.strerror or error}") from error
    damage = _damage(data)
    if damage:
        raise LiteError(f"{path} {damage}. Copy the file again.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except (cv2.error, MemoryError) as error:
        raise LiteError(f"{path} cannot be decoded: {error}") from error
    if image is None:
        raise LiteError(f"{path} ({len(data)} bytes) is no image that OpenCV can read.")
    return np.asarray(image)


def _damage(data: bytes) -> str:
    """What shows that a PNG or a JPEG ends early or was changed; decoders fill what is missing."""
    if data.startswith(_PNG_SIGNATURE):
        return _png_damage(data)
    if not data.startswith(b"\xff\xd8"):
        return ""
    position = 2  # past the header, whose thumbnail has an end marker of its own
    while data[position : position + 1] == b"\xff" and data[position + 1 : position + 2] != b"\xda":
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    cut = data.find(b"\xff\xd9", position) < 0
    return "is cut short: the JPEG has no end marker" if cut else ""


def _png_damage(data: bytes) -> str:
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        if end + 4 > len(data):
            break
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return f"is damaged: the checksum of the PNG chunk at byte {position} is wrong"
        if kind == b"IEND":
            return ""
        position = end + 4
    return "is cut short: the PNG has no end"


def write(path: Path, put: Callable[[Path], object]) -> None:
    """Writes a file that appears under its name when it is complete.

    Args:
        path: The file; its folder is made.
        put: Writes to the path that it is given.

    Raises:
        LiteError: If that fails.
    """
    unfinished = path.with_name(f".{os.getpid()}_{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if put(unfinished) is False:
            raise OSError("OpenCV could not write it")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise LiteError(f"{path} cannot be written: {error.strerror or error}") from error


def write_array(path: Path, values: NDArray) -> None:
    """Writes a .npy file; see :func:`write`."""
    write(path, lambda unfinished: np.save(unfinished, values))


def write_picture(path: Path, picture_bgr: NDArray) -> None:
    """Writes a picture (H, W, 3) BGR in the format of its suffix; see :func:`write`."""
    write(path, lambda unfinished: cv2.imwrite(str(unfinished), picture_bgr))
