"""Reads checkpoint files without running what they contain."""

from __future__ import annotations

import json
import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from safetensors import SafetensorError, safe_open
from torch.serialization import safe_globals

from engine.errors import WeightsError

_WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml")
_NAME = re.compile(r"(epoch|iter)_\d+\.pth")
_LFS_POINTER = b"version https://git-lfs"


def read_checkpoint(path: str | Path, *, trust: bool = False) -> dict[str, Any]:
    """Reads a ``.safetensors`` file, or anything that ``torch.save`` wrote, to the CPU.

    Args:
        path: The file. Its tensors may stay mapped to it, so it must not be overwritten in place.
        trust: Whether a pickle may create any object, and thereby run any code. Otherwise only
            tensors, plain containers and the NumPy values of MMEngine's training logs are read.

    Returns:
        What the file holds; for ``.safetensors`` its tensors as ``state_dict`` and its metadata,
        decoded from JSON, as ``meta``.

    Raises:
        WeightsError: The file is missing, damaged, no checkpoint, or needs ``trust``.
    """
    path = Path(path)
    _check_file(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    checkpoint = _read_torch(path, trust)
    if not isinstance(checkpoint, dict):
        raise WeightsError(
            f"{path} holds a {type(checkpoint).__name__}. Expected a dict: the tensors by name, or "
            "with them under 'state_dict'. Save model.state_dict() instead."
        )
    return checkpoint


def latest_checkpoint(work_dir: str | Path) -> str | None:
    """Returns the path of the newest whole checkpoint, or None if there is none.

    Files are tried from the newest to the oldest; one that is truncated or cannot be read is
    reported and left out.
    """
    paths = [path for path in Path(work_dir).glob("*.pth") if _NAME.fullmatch(path.name)]
    for path in sorted(paths, key=lambda p: p.stat().st_mtime_ns, reverse=True):
        try:
            read_checkpoint(path)
        except WeightsError as error:
            print_log(f"Not resuming from {path}: {error}", "current", logging.WARNING)
        else:
            return str(path)
    return None


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(
            f"{path} is not a file. Correct the path, or set SAPIENS_CHECKPOINT_ROOT to the folder "
            "of the downloaded weights."
        )
    with path.open("rb") as file:
        head = file.read(64).lstrip().lower()
    if not head:
        raise WeightsError(f"{path} is empty. Copy or download it again.")
    if head.startswith(_WEB_PAGE):
        raise WeightsError(
            f"{path} is a web page, not weights: its download failed, perhaps for want of a login."
        )
    if head.startswith(_LFS_POINTER):
        raise WeightsError(f"{path} is a Git LFS pointer, not the weights. Run `git lfs pull`.")


def _read_torch(path: Path, trust: bool) -> Any:
    # Mapped tensors cost no memory of their own, so eight processes share one copy of a file.
    # Only the zip format can be mapped.
    mmap = zipfile.is_zipfile(path)
    if mmap:
        _check_not_exported(path)
    try:
        with safe_globals(_training_log_types()):
            return torch.load(path, map_location="cpu", weights_only=not trust, mmap=mmap)
    except Exception as error:  # a damaged pickle can raise anything
        raise WeightsError(_explain(path, error)) from error


def _check_not_exported(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = {Path(name).name for name in archive.namelist()}
    if "data.pkl" not in names or "constants.pkl" in names:
        raise WeightsError(
            f"{path} is an exported program (TorchScript or torch.export) or another archive, "
            "not weights. Give the .pth file that it was made from."
        )


def _explain(path: Path, error: Exception) -> str:
    refused = re.search(r"GLOBAL ([\w.]+)|<(?:class|function) '?([\w.]+)", str(error))
    if refused:
        return (
            f"{path} contains {refused[1] or refused[2]}, which is not a plain tensor, number or "
            "container, and could run code. If you trust where the file is from, "
            "convert it once with mmsapiens convert --trust."
        )
    # torch's own advice, to load with weights_only=False, precedes the cause: leave it out.
    reason = str(error).rpartition("WeightsUnpickler error: ")[2].partition("\n")[0]
    reason = reason.partition(". ")[0] or type(error).__name__
    return (
        f"{path} is not a torch checkpoint, or was cut short ({reason}). Copy or download it again."
    )


def _training_log_types() -> list[Any]:
    """What MMEngine's checkpoints hold beyond tensors, under NumPy 1's and NumPy 2's names."""
    make_scalar = np.float64().__reduce__()[0]
    make_array = np.empty(0).__reduce__()[0]
    allowed: list[Any] = [HistoryBuffer, np.ndarray, np.dtype]
    allowed.append((_history_method, "builtins.getattr"))
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        allowed.append((make_scalar, f"{module}.scalar"))
        allowed.append((make_array, f"{module}._reconstruct"))
    # Each dtype is an instance of a class of its own. Object arrays are left out.
    codes = np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?SU"
    return allowed + list({type(np.dtype(code)) for code in codes})


def _history_method(owner: Any, name: str) -> Any:
    """Stands in for ``getattr``: a HistoryBuffer is pickled with references to its methods."""
    if owner is not HistoryBuffer or name.startswith("_"):
        raise pickle.UnpicklingError(f"GLOBAL getattr of {name!r}")
    return getattr(HistoryBuffer, name)


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            meta = {key: _decode(value) for key, value in (file.metadata() or {}).items()}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a safetensors file, or was cut short ({error}). "
            "Copy or download it again."
        ) from error
    return {"state_dict": tensors, "meta": meta}


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value  # the format allows any text
