"""Other forms of a checkpoint: without its training state, the backbone alone, safetensors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from engine.checkpoint.adapted import KEY, with_base
from engine.checkpoint.match import BACKBONE, PATCHES, beginnings, tensors_of
from engine.checkpoint.meta import flat_with_meta, meta_of
from engine.checkpoint.probing import probe
from engine.checkpoint.read import read_checkpoint
from engine.checkpoint.values import check_whole
from engine.errors import OutputError, WeightsError
from engine.tables import format_table

SUFFIXES = (".pth", ".pt", ".safetensors")


def convert_checkpoint(
    source: str | Path,
    target: str | Path,
    *,
    backbone_only: bool = False,
    merge: bool = False,
    overwrite: bool = False,
    trust: bool = False,
) -> tuple[str, ...]:
    """Writes the weights of a checkpoint, without its training state, to another file.

    The target's suffix says its format. A ``.safetensors`` file holds the tensors, and ``meta`` as
    JSON. A ``.pth`` file holds ``state_dict`` and ``meta``; with ``backbone_only`` it is flat, as
    the released ``*_clean.pth`` files are: tensors by name and nothing else. What identifies the
    model, such as its patch padding, is kept all the same; see :func:`flat_with_meta`.

    Args:
        source: A ``.pth``, ``.pt`` or ``.safetensors`` file, or the folder of a sharded training.
        target: The file to write; it appears under its name only when complete.
        backbone_only: Take the backbone's tensors only, without ``backbone.`` in their names.
        merge: Whether adapters become part of the weights that they belong to; else they stay
            beside them, and the base's weights in its own file.
        overwrite: Whether the target may exist; never may it be the source.
        trust: Whether the source may run code; see :func:`engine.checkpoint.read_checkpoint`.

    Returns:
        What of the source's top level is not in the target, such as ``"optimizer"``.

    Raises:
        WeightsError: The source cannot be read or has no backbone, the target exists or has
            another suffix, or ``meta`` holds what JSON cannot.
    """
    source, target = Path(source), Path(target)
    _check_target(source, target, overwrite)
    checkpoint = read_checkpoint(source, trust=trust)
    is_adapted = KEY in meta_of(checkpoint, str(source))
    if is_adapted != merge and (merge or backbone_only):
        raise WeightsError(
            f"{source} refers to the file of its base. Pass --merge, too."
            if is_adapted
            else f"{source} is whole already: it refers to no base. Leave --merge out."
        )
    if merge:
        checkpoint = with_base(checkpoint, source)
    tensors, meta = tensors_of(checkpoint, str(source)), meta_of(checkpoint, str(source))
    if backbone_only:
        tensors = _backbone_of(tensors, source)
    check_whole(tensors, str(source))
    storages: set[int] = set()
    tensors = {key: _compact(value, storages) for key, value in tensors.items()}
    if target.suffix == ".safetensors":
        metadata = {str(key): _to_json(key, value) for key, value in meta.items()}
        try:
            _write(target, lambda path: save_file(tensors, path, metadata))
        except (SafetensorError, KeyError) as error:
            raise WeightsError(
                f"{source} has numbers that .safetensors cannot hold ({error}). Convert to .pth."
            ) from error
    else:
        whole = {"state_dict": tensors, "meta": meta}
        content = flat_with_meta(tensors, meta) if backbone_only else whole
        _write(target, lambda path: torch.save(content, path))
    if "state_dict" not in checkpoint:
        return ()
    flat = backbone_only and target.suffix != ".safetensors"
    kept = {"state_dict"} if flat else {"state_dict", "meta"}
    return tuple(str(key) for key in checkpoint if key not in kept)


def _check_target(source: Path, target: Path, overwrite: bool) -> None:
    if target.suffix not in SUFFIXES:
        raise WeightsError(f"{target}: its suffix says the format: one of {', '.join(SUFFIXES)}.")
    if not target.exists():
        return
    if source.exists() and os.path.samefile(source, target):
        raise WeightsError(f"{target} is the checkpoint to convert. Give another name.")
    if not overwrite:
        raise WeightsError(f"{target} exists. Give another name, or pass --overwrite.")


def _backbone_of(tensors: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    below = {k.removeprefix(BACKBONE): v for k, v in tensors.items() if k.startswith(BACKBONE)}
    for backbone in (below, dict(tensors)):
        if PATCHES in backbone:
            return backbone
    raise WeightsError(
        f"{source} has no backbone: neither {BACKBONE}{PATCHES} nor {PATCHES}. Its keys begin "
        f"with {beginnings(tensors)}."
    )


def _compact(tensor: Tensor, storages: set[int]) -> Tensor:
    """A tensor that is all of its storage, of which the rest would be written too, and alone."""
    storage = tensor.untyped_storage()
    is_whole = storage.nbytes() == tensor.numel() * tensor.element_size()
    is_first = storage.data_ptr() not in storages
    storages.add(storage.data_ptr())
    if is_whole and is_first and tensor.is_contiguous():
        return tensor
    return tensor.contiguous().clone()


def _write(target: Path, write: Callable[[Path], Any]) -> None:
    """Writes under a temporary name, then renames."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.tmp")
    temporary.touch()
    mode = temporary.stat().st_mode
    try:
        write(temporary)
        temporary.chmod(mode)  # safetensors makes files that only their owner may read
        temporary.replace(target)
    except (OSError, RuntimeError, SafetensorError) as error:  # each has its own for a full disk
        raise OutputError(
            f"{target} could not be written ({str(error).splitlines()[0]}). Make room, or name "
            "another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _to_json(key: str, value: Any) -> str:
    def plain(item: Any) -> Any:
        if isinstance(item, np.ndarray | np.generic | Tensor):
            return item.tolist()
        raise WeightsError(
            f"meta[{key!r}] holds a {type(item).__name__}, which a .safetensors file cannot. "
            "Convert to .pth."
        )

    try:
        return json.dumps(value, default=plain)
    except (TypeError, ValueError, RecursionError) as error:  # a key that is no text, say
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"meta[{key!r}] cannot be JSON ({error}). Convert to .pth.") from error


def describe_checkpoint(path: str | Path, *, trust: bool = False) -> str:
    """Returns a checkpoint's contents as text: its tensors by the beginning of their names, what
    else is in it, and its meta.

    Args:
        path: A ``.pth``, ``.pt`` or ``.safetensors`` file.
        trust: See :func:`engine.checkpoint.read_checkpoint`.

    Raises:
        WeightsError: The file cannot be read, or holds no tensors.
    """
    checkpoint = read_checkpoint(path, trust=trust)
    tensors = tensors_of(checkpoint, str(path))
    groups: dict[str, list[Tensor]] = {}
    for key, tensor in tensors.items():
        groups.setdefault(key.partition(".")[0], []).append(tensor)
    rows = []
    for name, group in [*groups.items(), ("all", list(tensors.values()))]:
        dtypes = dict.fromkeys(str(tensor.dtype).removeprefix("torch.") for tensor in group)
        parameters = sum(tensor.numel() for tensor in group)
        rows.append((name, f"{len(group):,}", f"{parameters:,}", ", ".join(dtypes)))
    lines = [format_table(("prefix", "tensors", "parameters", "dtypes"), rows)]
    if probed := probe(tensors):
        dims, layers = probed.arch
        size = "x".join(map(str, probed.input_size_hw or ()))
        lines.append(
            f"\nlooks like {probed}, embed_dims {dims}, {layers} layers{size and f', {size}'}"
        )
    if "state_dict" in checkpoint:
        others = [str(key) for key in checkpoint if key not in ("state_dict", "meta")]
        lines.append(f"\nbesides weights and meta: {', '.join(others) or 'nothing'}")
    meta = meta_of(checkpoint, str(path))
    lines.append("meta:" if meta else "no meta")
    lines += [f"  {key}: {_shorten(value)}" for key, value in meta.items()]
    return "\n".join(lines)


def _shorten(value: Any, length: int = 80) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= length else f"{text[:length]}... ({len(text):,} characters)"
