"""What the writers of all formats share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from engine.errors import OutputError


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
