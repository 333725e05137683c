"""Finding and pairing the files of datasets that are folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from engine.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

_left_out: ContextVar[list[tuple[Path, str]] | None] = ContextVar("left_out", default=None)


@contextmanager
def leave_out_unpaired() -> Iterator[list[tuple[Path, str]]]:
    """Inside it, ``pair_by_stem`` leaves unpaired files out instead of raising.

    Yields:
        A list that fills with them: (file, what is missing).
    """
    left_out: list[tuple[Path, str]] = []
    token = _left_out.set(left_out)
    try:
        yield left_out
    finally:
        _left_out.reset(token)


def pair_by_stem(
    images: dict[str, Path],
    labels: dict[str, Path],
    img_dir: Path,
    seg_dir: Path,
    what: str = "label map",
) -> list[tuple[str, str, str]]:
    """Pairs images and labels of the same stem; a partner missing on either side is an error.

    Args:
        images: Images by stem.
        labels: Their partners by stem.
        img_dir: Where the images are.
        seg_dir: Where their partners are.
        what: What a partner is called.

    Raises:
        DataError: With the number of unpaired files, some of their names, and where they were
            sought.
    """
    if not images:
        raise DataError(f"No images ({', '.join(IMAGE_SUFFIXES)}) in {str(img_dir)!r}.")
    for have, lack, lacking, where in (
        (images, labels, what, seg_dir),
        (labels, images, "image", img_dir),
    ):
        alone = sorted(set(have) - set(lack))
        left_out = _left_out.get()
        if left_out is not None:
            left_out += [(have[stem], f"no {lacking} in {str(where)!r}") for stem in alone]
        elif alone:
            raise DataError(
                f"{len(alone)} of {len(have)} files have no {lacking} in {str(where)!r}, such as "
                f"{', '.join(str(have[stem]) for stem in alone[:3])}. Add the missing files "
                "or remove these."
            )
    paired = sorted(images.keys() & labels.keys())
    return [(stem, str(images[stem]), str(labels[stem])) for stem in paired]


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
