"""What is said to the user, and the options that all tools have."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

PICTURE_FORMATS = ("png", "jpg", "bmp")


class LiteError(Exception):
    """Something that the user can mend; a sentence that says what, where and how."""


def say(text: str) -> None:
    """Tells the user something that is no result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def report(text: str) -> None:
    """Tells the user a result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def exit_code_of(main: Callable[[], int]) -> int:
    """Runs a tool; what the user can mend is one sentence and exit code 2."""
    try:
        return main()
    except LiteError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130


class Parser(argparse.ArgumentParser):
    """Takes ``--batch-size`` for ``--batch_size``, and has what all tools share.

    Args:
        description: Of the tool.
        what: The predicted images or people, of which a batch is made.
        batch_size: The usual one.
        shape: The released models'.
    """

    def __init__(
        self,
        description: str | None,
        what: str = "images",
        batch_size: int = 4,
        shape: str = "1024 768",
    ) -> None:
        kind = argparse.RawDescriptionHelpFormatter
        super().__init__(description=description, formatter_class=kind, allow_abbrev=False)
        self.add_argument("checkpoint", type=Path, help="exported model: .pt2 or .onnx")
        self.add_argument(
            "--input", required=True, type=Path, help="folder, image, or .txt file of paths"
        )
        self.add_argument("--output_root", type=Path, help="of the results (INPUT/output)")
        self.add_argument("--device", help="such as cuda:0 or cpu (cuda:0, else cpu)")
        self.add_argument(
            "--batch_size", type=positive, default=batch_size, help=f"{what} at once ({batch_size})"
        )
        self.add_argument(
            "--shape",
            type=positive,
            nargs="+",
            help=f"height and width, or one for both (the file's, else {shape})",
        )
        self.add_argument("--fp16", action="store_true", help="compute in half precision")
        self.add_argument(
            "--num_workers", type=natural, default=4, help="processes that read and write (4)"
        )
        self.add_argument("--shard", type=share, help="only the third of eight shares: 3/8")

    def add_save_format(self) -> None:
        """Adds what pictures are saved as."""
        self.add_argument(
            "--save_format", choices=PICTURE_FORMATS, default="png", help="of pictures (png)"
        )

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Reads dashes within the names of options as underscores."""
        words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args([_underscored(word) for word in words], namespace)


def _underscored(word: str) -> str:
    if not re.match(r"--[a-zA-Z]", word):
        return word
    name, equals, value = word.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def positive(text: str) -> int:
    """Reads a whole number above 0."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def natural(text: str) -> int:
    """Reads a whole number from 0."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def fraction(text: str) -> float:
    """Reads a number from 0 to 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number


def share(text: str) -> tuple[int, int]:
    """Reads ``3/8``, the third of eight shares."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(text)
    return int(match[1]), int(match[2])


def size_hw_of(shape: Sequence[int] | None) -> tuple[int, int] | None:
    """Reads ``--shape``: height and width, or one number for both; None if it is not given.

    Raises:
        LiteError: If there are more numbers.
    """
    if shape is None:
        return None
    if len(shape) > 2:
        raise LiteError(f"--shape is height and width, or one number; found {list(shape)}.")
    return shape[0], shape[-1]
