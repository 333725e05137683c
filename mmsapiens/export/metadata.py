"""What a file says of itself: one JSON object, read without running anything of the file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import WeightsError

VERSION = 1
"""Of the layout; higher ones are refused."""
NAME = "mmsapiens"
"""Of the entry in the metadata of ONNX and safetensors."""
RECORD = f"{NAME}.json"
"""Of the extra file in the archives of PyTorch."""
ONNX = ".onnx"
_MAX_BYTES = 2**24
_NEEDED: Mapping[str, type | tuple[type, ...]] = {
    "task": str, "file": str, "dtype": str, "input": dict, "output": dict, "config": str,
    "torch": str,
}  # fmt: skip
_OF_INPUT: Mapping[str, type | tuple[type, ...]] = {
    "size_hw": list, "batch": (str, int), "normalise": str, "mean": list, "std": list,
}  # fmt: skip


def read_metadata(path: str | Path) -> dict[str, Any] | None:
    """Returns what an exported file says of itself; None for another file, or one that is not whole.

    Of archives the one record is read, of ONNX its properties; no code of the file runs.

    Raises:
        WeightsError: It is of a newer layout, or lacks what it must say.
        ConfigError: ONNX Runtime is missing.
    """
    path = Path(path)
    if not path.is_file():
        return None
    text = _of_onnx(path) if path.suffix == ONNX else _of_archive(path)
    return None if text is None else parse(text, path)


def parse(text: str | bytes, path: Path) -> dict[str, Any]:
    """Reads the JSON of an exported file; for raises see :func:`read_metadata`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its metadata is no JSON ({error}). Export it again.") from error
    if not isinstance(found, dict) or type(found.get("format")) is not int:
        raise WeightsError(f"{path}: its metadata has no number of a format. Export it again.")
    if found["format"] > VERSION:
        raise WeightsError(
            f"{path}: its metadata is of format {found['format']}, and this version reads up to "
            f"{VERSION}. Update mmsapiens, or export the checkpoint with this version."
        )
    given = found.get("input")
    wrong = [key for key, kind in _NEEDED.items() if not isinstance(found.get(key), kind)]
    if isinstance(given, dict):
        wrong += [f"input.{k}" for k, kind in _OF_INPUT.items() if not isinstance(given.get(k), kind)]
    if wrong:
        raise WeightsError(f"{path}: its metadata lacks {', '.join(wrong)}. Export it again.")
    return found


def _of_archive(path: Path) -> bytes | None:
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.partition("/")[2] == f"extra/{RECORD}":
                if entry.file_size > _MAX_BYTES:
                    raise WeightsError(f"{path}: its metadata is of {entry.file_size:,} bytes.")
                return archive.read(entry)
    return None


def _of_onnx(path: Path) -> str | None:
    from mmsapiens.export.onnx_file import open_session

    return open_session(path).get_modelmeta().custom_metadata_map.get(NAME)
