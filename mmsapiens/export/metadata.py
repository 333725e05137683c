"""What a file says of itself: one JSON object, read without running anything of the file."""

from __future__ import annotations

import json
import zipfile
from functools import lru_cache
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
DTYPES = ("float32", "float16", "bfloat16")
_TEXTS = ("task", "file", "config", "torch")


def read_metadata(path: str | Path) -> dict[str, Any] | None:
    """Returns what an exported file says of itself; None for another file, or a damaged one.

    Of archives the one record is read, of others their properties; no code of the file runs.

    Raises:
        WeightsError: It is of a newer layout, or lacks what it must say.
        ConfigError: ONNX Runtime is missing.
    """
    path = Path(path)
    if not path.is_file():
        return None
    text: str | bytes | None
    if path.suffix == ONNX:
        text = _of_onnx(path, path.stat().st_mtime_ns)
    elif path.suffix == ".safetensors":
        text = _of_safetensors(path)
    else:
        text = _of_archive(path)
    return None if text is None else parse(text, path)


def parse(text: str | bytes, path: Path) -> dict[str, Any]:
    """Reads the JSON of an exported file; for raises see :func:`read_metadata`."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path}: its metadata is no JSON ({error}). Export it again."
        ) from error
    if not isinstance(found, dict) or type(found.get("format")) is not int:
        raise WeightsError(f"{path}: its metadata has no number of a format. Export it again.")
    if found["format"] > VERSION:
        raise WeightsError(
            f"{path}: its metadata is of format {found['format']}, and this version reads up to "
            f"{VERSION}. Update mmsapiens, or export the checkpoint with this version."
        )
    wrong = _wrong(found)
    if wrong:
        raise WeightsError(
            f"{path}: its metadata lacks {', '.join(wrong)}, or they are of another kind. Export "
            "it again."
        )
    return found


def _wrong(found: dict[str, Any]) -> list[str]:
    """Names what must be there and is not, or is not what it must be."""
    wrong = [key for key in _TEXTS if not isinstance(found.get(key), str)]
    given = _dict(found.get("input"))
    batch = given.get("batch")
    valid = {
        "input.size_hw": _are(given.get("size_hw"), 2, int) and min(given["size_hw"]) > 0,
        "input.batch": batch == "dynamic" or (type(batch) is int and batch > 0),
        "input.normalise": given.get("normalise") in ("inside", "outside"),
        "input.mean": _are(given.get("mean"), 3, int, float),
        "input.std": _are(given.get("std"), 3, int, float) and min(given["std"]) > 0,
        "dtype": found.get("dtype") in DTYPES,
        "output.channels": type(_dict(found.get("output")).get("channels")) is int,
    }
    return wrong + [key for key, is_valid in valid.items() if not is_valid]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _are(values: Any, num: int, *kinds: type) -> bool:
    """Whether these are so many values of some kinds."""
    return isinstance(values, list) and len(values) == num and {*map(type, values)} <= {*kinds}


def _of_archive(path: Path) -> bytes | None:
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                is_it = entry.filename.rpartition("/")[2] == RECORD  # the folder is PyTorch's
                if is_it and entry.file_size <= _MAX_BYTES:
                    return archive.read(entry)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        pass  # damaged, or no archive: who reads the rest of it says so
    return None


def _of_safetensors(path: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get(NAME)
    except (SafetensorError, OSError):
        return None  # likewise


@lru_cache(maxsize=4)
def _of_onnx(path: Path, modified_ns: int) -> str | None:
    """Is kept: a session reads all of a file."""
    from mmsapiens.export.onnx_file import open_session

    return open_session(path).get_modelmeta().custom_metadata_map.get(NAME)
