"""Reads checkpoint files without running what they contain."""

from __future__ import annotations

import io
import json
import logging
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log
from safetensors import safe_open
from torch.serialization import safe_globals

from engine.checkpoint.sharded import (
    STATE,
    SUFFIX,
    Like,
    is_sharded_checkpoint,
    join,
    read_tensors,
)
from engine.checkpoint.sharded_metadata import read_index
from engine.checkpoint.torchscript import is_torchscript, read_torchscript
from engine.checkpoint.unpickle import check_names, plain, stand_ins
from engine.errors import WeightsError

_WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml")
_NAME = re.compile(r"(epoch|iter)_\d+\.(pth|dcp)")
_LFS_POINTER = b"version https://git-lfs"


def read_checkpoint(
    path: str | Path, *, trust: bool = False, checksums: bool = True
) -> dict[str, Any]:
    """Reads a ``.safetensors`` file, TorchScript, or what ``torch.save`` wrote, to the CPU.

    Of a sharded checkpoint the weights are read, whole, and not the training's state; see
    :func:`read_sharded`.

    Args:
        path: The file. Its tensors may stay mapped to it, so it must not be overwritten in place.
        trust: Whether a pickle may create any object, and thereby run any code. Otherwise only
            tensors, plain containers and the NumPy values of MMEngine's training logs are read.
        checksums: Whether to read the whole file and compare its checksums. Otherwise it is mapped,
            and only as much read as is looked at.

    Returns:
        What the file holds; for ``.safetensors`` its tensors as ``state_dict`` and its metadata,
        decoded from JSON, as ``meta``; for TorchScript its weights as ``state_dict``.

    Raises:
        WeightsError: The file is missing, damaged, no checkpoint, or needs ``trust``.
    """
    path = Path(path)
    if is_sharded_checkpoint(path):
        return read_sharded(path, training=False)
    try:
        _check_file(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error}).") from error
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    checkpoint = _read_torch(path, trust, checksums)
    if not isinstance(checkpoint, dict):
        raise WeightsError(
            f"{path} holds a {type(checkpoint).__name__}. Expected a dict: the tensors by name, or "
            "with them under 'state_dict'. Save model.state_dict() instead."
        )
    return checkpoint


def read_sharded(
    path: str | Path,
    *,
    like: Callable[[Mapping[str, Any]], Like] = lambda rest: lambda path: None,
    training: bool = True,
) -> dict[str, Any]:
    """Reads a sharded checkpoint: what :func:`read_checkpoint` returns of a file.

    Args:
        path: The folder.
        like: Makes of the checkpoint without its tensors what says of a tensor's path, such as
            ``optimizer/17/exp_avg``, of what form it is to be: as a tensor of its shape, or, for
            None, whole and on the CPU.
        training: Whether to read averages and the states of the optimizer, besides the weights.

    Raises:
        WeightsError: It cannot be read.
    """
    folder = Path(path)
    rest = read_checkpoint(folder / STATE)
    if not training:
        rest = {key: value for key, value in rest.items() if key in ("meta", "state_dict")}
    tensors = read_tensors(folder, rest.keys(), like(rest))
    return join(tensors, rest, str(folder))


def latest_checkpoint(work_dir: str | Path) -> str | None:
    """Returns the path of the checkpoint that has come farthest, or None if there is none.

    Of several trainings that were started in the folder, that of the file that was written last
    counts. Files that are truncated or cannot be read are reported and left out.
    """
    paths = {path for path in Path(work_dir).glob("*") if _NAME.fullmatch(path.name)}
    places: dict[Path, _Place] = {}
    for path in paths:
        with _left_out_if_bad(path):
            places[path] = _Place.of(path)
    if not places:
        return None
    started = max(places.values(), key=lambda place: place.written).started
    of_the_last = [path for path, place in places.items() if place.started == started]
    for path in sorted(of_the_last, key=lambda path: places[path][1:], reverse=True):
        with _left_out_if_bad(path):
            if path.suffix == SUFFIX:  # each process reads a part of it, and not all here
                read_index(path)
            else:
                read_checkpoint(path)
            return str(path)
    return None


class _Place(NamedTuple):
    """Where in which training a checkpoint was saved, in the order that says which is farther."""

    started: Any
    epoch: int
    iteration: int
    evaluated: bool
    written: int

    @classmethod
    def of(cls, path: Path) -> _Place:
        file = path / STATE if path.suffix == SUFFIX else path
        meta = read_checkpoint(file, checksums=False).get("meta")
        meta = meta if isinstance(meta, dict) else {}
        epoch, iteration = (x if type(x := meta.get(k)) is int else 0 for k in ("epoch", "iter"))
        written = file.stat().st_mtime_ns
        started = meta["started"] if isinstance(meta.get("started"), str) else None
        return cls(started, epoch, iteration, bool(meta.get("evaluated")), written)


@contextmanager
def _left_out_if_bad(path: Path) -> Iterator[None]:
    try:
        yield
    except WeightsError as error:
        print_log(f"Not resuming from {path}: {error}", "current", logging.WARNING)


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


def _read_torch(path: Path, trust: bool, checksums: bool) -> Any:
    try:
        # Mapped tensors cost no memory of their own, so eight processes share one copy of a file.
        # Only the zip format can be mapped.
        mmap = zipfile.is_zipfile(path)
        if mmap and _check_archive(path, trust, checksums):
            return {"state_dict": read_torchscript(path)}
        if trust:
            return torch.load(path, map_location="cpu", weights_only=False, mmap=mmap)
        if not mmap:
            with path.open("rb") as file:
                for _ in range(4):  # of the format of old: three of its own, then the content
                    check_names(file)
        with safe_globals(stand_ins()):
            return plain(torch.load(path, map_location="cpu", weights_only=True, mmap=mmap))
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise WeightsError(_explain(path, error)) from error


def _check_archive(path: Path, trust: bool, checksums: bool) -> bool:
    """Requires a whole archive of torch.save, or TorchScript; returns whether it is the latter.

    PyTorch reads on where a checksum is wrong.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        scripted = is_torchscript(entry.filename for entry in entries)
        names = [Path(entry.filename).name for entry in entries]
        if names.count("data.pkl") != 1 or ("constants.pkl" in names and not scripted):
            raise WeightsError(
                f"{path} is a program of torch.export or another archive, not weights. Give the "
                ".pth file that it was made from."
            )
        # Of TorchScript the code is packed, which is left alone.
        mapped = [e for e in entries if not scripted or "/data/" in e.filename]
        size = sum(entry.file_size for entry in mapped)
        if any(entry.compress_type for entry in mapped) or size > path.stat().st_size:
            raise WeightsError(
                f"{path} was packed again: its tensors are compressed, which torch.save never "
                "does, and cannot be mapped. Take the file that torch.save wrote."
            )
        for entry in entries if checksums else ():
            with archive.open(entry) as file:
                while entry.CRC and file.read(2**20):  # 0: saved without checksums
                    pass
    if not trust and not scripted:
        check_names(io.BytesIO(torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")))
    return scripted


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


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            meta = {key: _decode(value) for key, value in (file.metadata() or {}).items()}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # a header can name any type and size
        raise WeightsError(
            f"{path} is not a safetensors file, or was cut short ({error}). "
            "Copy or download it again."
        ) from error
    return {"state_dict": tensors, "meta": meta}


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # the format allows any text
