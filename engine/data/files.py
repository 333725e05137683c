"""Finding, listing and pairing the files of datasets that are folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from engine.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MASK_SUFFIXES = (".npy", ".png")

Named = tuple[str, dict[str, str]]
"""The name of a sample, and its record: paths by what is at them."""


class Partner(NamedTuple):
    """What belongs to an image: where it is, its suffixes, and what it is called."""

    folder: str
    suffixes: Sequence[str]
    what: str


_left_out: ContextVar[list[tuple[Path, str]] | None] = ContextVar("left_out", default=None)


@contextmanager
def leave_out_unpaired() -> Iterator[list[tuple[Path, str]]]:
    """Inside it, ``require_partners`` leaves unpaired files out instead of raising.

    Yields:
        A list that fills with them: (file, what is missing).
    """
    left_out: list[tuple[Path, str]] = []
    token = _left_out.set(left_out)
    try:
        yield left_out
    finally:
        _left_out.reset(token)


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
    alone = sorted(set(files) - set(partners))
    left_out = _left_out.get()
    if left_out is not None:
        left_out += [(files[stem], f"no {what} in {str(where)!r}") for stem in alone]
    elif alone:
        raise DataError(
            f"{len(alone)} of {len(files)} files have no {what} in {str(where)!r}, such as "
            f"{', '.join(str(files[stem]) for stem in alone[:3])}. Add the missing files "
            "or remove these."
        )


def join_by_stem(files: Mapping[str, Mapping[str, Path]]) -> list[Named]:
    """Makes a record of each stem that all have; ``files`` are by key, then by stem."""
    stems = sorted(set.intersection(*map(set, files.values())))
    return [(stem, {key: str(paths[stem]) for key, paths in files.items()}) for stem in stems]


def list_by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Lists the files below ``folder`` by their path relative to it, without suffix.

    Raises:
        DataError: If the folder does not exist, or two files differ only in their suffix.
    """
    if not folder.is_dir():
        raise DataError(f"The folder {str(folder)!r} does not exist.")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            stem = path.relative_to(folder).with_suffix("").as_posix()
            if stem in found:
                raise DataError(f"{found[stem]} and {path} differ only in their suffix; keep one.")
            found[stem] = path
    return found


def read_list(path: str | Path) -> list[str]:
    """Reads one name a line; empty lines and lines starting with ``#`` are skipped."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"The list file {str(path)!r} does not exist.")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
