"""Finding, listing and pairing the files of datasets that are folders."""

from __future__ import annotations

import glob
import itertools
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from mmengine.logging import print_log

from engine.errors import DataError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # category Cc of Unicode

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MASK_SUFFIXES = (".npy", ".png")

Named = tuple[str, dict[str, str]]
"""The name of a sample, and its record: paths by what is at them."""


class Partner(NamedTuple):
    """What belongs to an image: where it is, its suffixes, and what it is called."""

    folder: str
    suffixes: Sequence[str]
    what: str


class LeftOut(NamedTuple):
    """What a listing leaves out, each with the reason: files without a partner, and others."""

    unpaired: list[tuple[Path, str]]
    passed_over: list[tuple[Path, str]]


_left_out: ContextVar[LeftOut | None] = ContextVar("left_out", default=None)


@contextmanager
def collect_left_out() -> Iterator[LeftOut]:
    """Inside it, unpaired files are left out instead of raising, and nothing is logged.

    Yields:
        What fills with all that listings leave out.
    """
    left_out = LeftOut([], [])
    token = _left_out.set(left_out)
    try:
        yield left_out
    finally:
        _left_out.reset(token)


class PassedOver:
    """Counts what a search passes over, by reason; :meth:`report` says it.

    Args:
        where: What is searched.
    """

    def __init__(self, where: str | Path) -> None:
        self.where = Path(where)
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, reason: str, name: str) -> None:
        """Counts one."""
        self.counts[reason] += 1
        self.first.setdefault(reason, name)

    def report(self) -> None:
        """Logs the counts, or adds them to what :func:`collect_left_out` collects."""
        collected = _left_out.get()
        for reason, num in sorted(self.counts.items()):
            text = f"{num} {reason}, such as {self.first[reason]}"
            if collected is not None:
                collected.passed_over.append((self.where, text))
            else:
                print_log(f"{self.where}: passed over {text}", "current", logging.WARNING)


def find_files(root: str | Path, suffixes: Sequence[str]) -> list[str]:
    """Finds the files below a folder, its linked folders included; reports what it passes over.

    Args:
        root: The folder.
        suffixes: Of the files, in lower case. Files whose names begin with a dot are passed over
            silently, and folders so that they are counted.

    Returns:
        Their paths relative to it, sorted.

    Raises:
        DataError: If a folder cannot be read.
    """
    passed_over = PassedOver(root)
    found = []
    prefix = os.path.join(str(root), "")
    for _, paths in _walk(str(root), (), passed_over):
        for path in paths:
            name = os.path.basename(path)
            if name.startswith("."):
                continue
            if name.lower().endswith(tuple(suffixes)):
                found.append(path.removeprefix(prefix))
            else:
                suffix = os.path.splitext(name)[1].lower()
                kind = f"with the suffix {suffix}" if suffix else "without a suffix"
                passed_over.add(f"files {kind}", path)
    passed_over.report()
    return sorted(found)


def match_files(pattern: str) -> list[str]:
    """Does ``glob.glob(pattern, recursive=True)``, sorted, without going round links in circles."""
    if pattern.endswith("**"):
        pattern += "/*"
    head, stars, tail = pattern.partition("**/")
    if not stars:
        return sorted(glob.glob(pattern))
    roots = glob.glob(head) if head else ["."]
    folders = [folder for root in roots for folder, _ in _walk(root, (), PassedOver(root))]
    found = (match_files(os.path.join(glob.escape(folder), tail)) for folder in folders)
    return sorted(set(itertools.chain.from_iterable(found)))


def _walk(
    folder: str, above: tuple[str, ...], passed_over: PassedOver
) -> Iterator[tuple[str, list[str]]]:
    """Yields a folder and those below it, each with its files; ``above`` is how it was reached."""
    # Not pathlib, which takes several times as long in a tree of millions of files.
    real = os.path.realpath(folder)
    if real in above:
        passed_over.add("links to a folder that holds them", folder)
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"The folder {folder!r} cannot be read: {error}") from error
    files, folders = [], []
    for entry in entries:
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:  # a link to itself, or into a folder that is closed to us
            is_folder = is_file = False
        if is_folder and entry.name.startswith("."):  # of tools, such as .ipynb_checkpoints
            passed_over.add("hidden folders", entry.path)
        elif is_folder:
            folders.append(entry.path)
        elif is_file:
            files.append(entry.path)
        else:
            passed_over.add("links to nothing" if entry.is_symlink() else "no files", entry.path)
    yield folder, files
    for path in folders:
        yield from _walk(path, (*above, real), passed_over)


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC); macOS writes letters and accents apart (NFD)."""
    return unicodedata.normalize("NFC", name)


def as_on_disk(root: str | Path, name: str) -> str:
    """Joins a name that someone wrote to a folder, in the Unicode form in which the file exists."""
    path = os.path.join(root, name)
    if name.isascii():
        return path  # without a look at the disk, as lists may be of millions
    forms = (os.path.join(root, unicodedata.normalize(form, name)) for form in ("NFC", "NFD"))
    return next((p for p in (path, *forms) if os.path.exists(p)), path)


def pair_folders(root: str | Path, img_dir: str, partners: Mapping[str, Partner]) -> list[Named]:
    """Pairs the images of a folder with the files of others that have the same path in theirs.

    Args:
        root: Folder of the dataset.
        img_dir: Folder of the images, below it.
        partners: What belongs to an image, by its key in the records.

    Raises:
        DataError: If a folder does not exist or has no images, two files of one differ only in
            their suffix, or a file has no partner.
    """
    folders = {"img_path": Partner(img_dir, IMAGE_SUFFIXES, "image"), **partners}
    files = {
        key: list_by_stem(Path(root, folder), suffixes)
        for key, (folder, suffixes, _) in folders.items()
    }
    if not files["img_path"]:
        raise DataError(f"No images ({', '.join(IMAGE_SUFFIXES)}) in {str(Path(root, img_dir))!r}.")
    for key, partner in partners.items():
        require_partners(files["img_path"], files[key], partner.what, Path(root, partner.folder))
        require_partners(files[key], files["img_path"], "image", Path(root, img_dir))
    return join_by_stem(files)


def require_partners(
    files: Mapping[str, Path], partners: Mapping[str, Path], what: str, where: Path
) -> None:
    """Requires a partner of the same stem for each file.

    Args:
        files: By stem.
        partners: Likewise.
        what: What a partner is called.
        where: Where the partners were sought.

    Raises:
        DataError: With the number of files without one, and some of their names.
    """
    if files and not set(files) & set(partners):
        raise DataError(
            f"No file has its {what} in {str(where)!r}; a partner has the same path without suffix."
            f" The files are {_some(files)}. There are {_some(partners)}."
        )
    alone = sorted(set(files) - set(partners))
    left_out = _left_out.get()
    if left_out is not None:
        reason = f"no {what} in {str(where)!r}"
        left_out.unpaired.extend((files[stem], reason) for stem in alone)
    elif alone:
        raise DataError(
            f"{len(alone)} of {len(files)} files have no {what} in {str(where)!r}, such as "
            f"{', '.join(str(files[stem]) for stem in alone[:3])}. Add the missing files "
            "or remove these."
        )


def _some(files: Mapping[str, Path]) -> str:
    names = [repr(path.name) for _, path in sorted(files.items())]
    return f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''} ({len(names)})"


def join_by_stem(files: Mapping[str, Mapping[str, Path]]) -> list[Named]:
    """Makes a record of each stem that all have; ``files`` are by key, then by stem."""
    stems = sorted(set.intersection(*map(set, files.values())))
    return [(stem, {key: str(paths[stem]) for key, paths in files.items()}) for stem in stems]


def list_by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Lists the files below ``folder`` by their path relative to it, without suffix, composed.

    Raises:
        DataError: If the folder does not exist, or two files have one such name.
    """
    if not folder.is_dir():
        raise DataError(f"The folder {str(folder)!r} does not exist.")
    return by_stem(folder, find_files(folder, suffixes))


def by_stem(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Keys the paths of files of a folder by their names without suffix, composed.

    Raises:
        DataError: If two files have one such name.
    """
    found: dict[str, Path] = {}
    for name in names:
        stem, path = composed(Path(name).with_suffix("").as_posix()), folder / name
        if stem in found:
            raise DataError(
                f"{found[stem]} and {path} differ only in their suffix, or in how Unicode writes "
                "them; keep one."
            )
        found[stem] = path
    return found


def read_list(path: str | Path) -> list[str]:
    """Reads one name a line; empty lines and lines starting with ``#`` are skipped.

    Raises:
        DataError: If the file is missing, or no text in UTF-8, with or without byte order mark.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(f"The list file {str(path)!r} does not exist.") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"The list file {str(path)!r} is not in UTF-8 (byte {error.start}). Save it anew; > in "
            "PowerShell writes UTF-16, Out-File -Encoding utf8 does not."
        ) from error
    except OSError as error:
        raise DataError(f"The list file {str(path)!r} cannot be read: {error}") from error
    # Each list of some that were joined may begin with a mark.
    lines = [line.strip().removeprefix("\ufeff") for line in text.split("\n")]
    for number, line in enumerate(lines, 1):
        if _CONTROL.search(line):
            raise DataError(f"Line {number} of {str(path)!r} is no name of a file: {line!r}.")
    return [line for line in lines if line and not line.startswith("#")]


def missing_files(paths: Sequence[str]) -> list[str]:
    """Returns those that do not exist; reads each folder once, as a look a file is slow.

    Only links are followed one by one: they may lead nowhere.
    """
    places = [(os.path.dirname(path) or ".", os.path.basename(path)) for path in paths]
    folders = {folder for folder, _ in places}
    members = {
        folder: {e.name for e in os.scandir(folder) if not e.is_symlink() or os.path.exists(e.path)}
        for folder in folders
        if os.path.isdir(folder)
    }
    found = (name in members.get(folder, ()) for folder, name in places)
    unlisted = [path for path, is_there in zip(paths, found, strict=True) if not is_there]
    return [path for path in unlisted if not os.path.exists(path)]  # a name may be written twice
