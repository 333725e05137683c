"""What the writers of all formats share."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from engine.errors import OutputError
from engine.lock import lock

_PREFIX = ".export-"


class Text(Protocol):
    """Makes the metadata of a file, as JSON."""

    def __call__(self, **of_the_format: object) -> str:
        """Returns it with what only the format knows, such as the opset."""
        ...


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within it a file is written.

    Raises:
        OutputError: It cannot be.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # PyTorch reports a full disk as the latter
        raise OutputError(
            f"{path} could not be written ({str(error).splitlines()[0]}). Make room, or name "
            "another folder with --output."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Within it nothing is said of what PyTorch's own code should do otherwise in future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """Makes a folder, and in it another that is gone afterwards; so are those of killed exports.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_PREFIX}*"):
            with suppress(OSError), _opened(left) as file:
                if lock(file):  # of one that runs, it holds the lock
                    shutil.rmtree(left)
        place = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}). Mend its rights, or name another "
            "folder with --output."
        ) from error
    with place as name, _opened(Path(name)) as file:
        lock(file)
        yield Path(name)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Gives a folder's descriptor, which locks are of."""
    file = os.open(folder, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)
