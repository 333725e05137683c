"""Checkpoints of what has learnt beside a frozen backbone, which refer to the file of its base."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.adapters import Adapter, is_adapter, merge
from engine.checkpoint.match import rename, tensors_of
from engine.checkpoint.meta import meta_of
from engine.checkpoint.read import read_checkpoint
from engine.checkpoint.sharded import is_sharded_checkpoint
from engine.errors import ConfigError, WeightsError
from engine.model.wrappers import unwrap

KEY = "adapter"
"""Where a checkpoint's meta says which adapter it is of, and of which base."""
_STATES = {"state_dict": "", "ema_state_dict": "module."}  # what precedes the model's names


def base_of(path: str | Path, model: nn.Module, prefix: str | None = None) -> dict[str, Any]:
    """Says which file a model's frozen weights are in, for the meta of its checkpoints.

    Args:
        path: The file that the model's weights are from; the base's own, or a checkpoint of a
            training that had one.
        model: With its weights.
        prefix: Of the tensors in the file, as for :func:`engine.checkpoint.load_weights`.

    Returns:
        Its path and SHA-256, the prefix, and the model's names of the tensors that are frozen and,
        in the model's precision, those of the file.

    Raises:
        ConfigError: It is a folder of a sharded training.
        WeightsError: It cannot be read.
    """
    if is_sharded_checkpoint(path):
        raise ConfigError(
            f"adapter: {path} is a folder, and checkpoints refer to a file as their base. Make it "
            "one with mmsapiens convert, and start from that."
        )
    model = unwrap(model)
    checkpoint = read_checkpoint(path)
    earlier = _reference(checkpoint, str(path))
    if earlier and any(map(is_adapter, tensors_of(checkpoint, str(path)))) <= _has_adapters(model):
        found = find_base(earlier, path)
        base = {"path": str(found), "sha256": earlier["sha256"], "prefix": earlier["prefix"]}
        tensors = tensors_of(read_whole(found), str(found))
    else:
        base = {"path": str(path), "sha256": sha256(path), "prefix": prefix}
        tensors = tensors_of(read_whole(path), str(path))
    frozen = {k: p for k, p in model.named_parameters() if not p.requires_grad}
    theirs = rename(tensors, frozen, base["prefix"], str(path))
    names = [k for k, p in frozen.items() if k in theirs and _same(theirs[k], p)]
    return {**base, "names": names}


def without_base(checkpoint: dict[str, Any], adapter: Adapter, base: Mapping[str, Any]) -> None:
    """Takes what the base's file holds out of a checkpoint that is to be saved."""
    checkpoint["meta"][KEY] = {**asdict(adapter), "targets": [*adapter.targets], "base": dict(base)}
    for state, before in _STATES.items():
        if state in checkpoint:
            left_out = {before + name for name in base["names"]}
            kept = {k: v for k, v in checkpoint[state].items() if k not in left_out}
            checkpoint[state] = kept


def read_whole(path: str | Path, *, trust: bool = False, adapters: bool = False) -> dict[str, Any]:
    """Reads a checkpoint; one that refers to a base, with the base's weights.

    Args:
        path: As for :func:`engine.checkpoint.read_checkpoint`.
        trust: Likewise.
        adapters: Whether adapters stay beside the layers, and are not merged into them.

    Raises:
        WeightsError: The file, or that of its base, is missing, damaged, or another than it was.
    """
    return with_base(read_checkpoint(path, trust=trust), path, adapters=adapters)


def with_base(
    checkpoint: dict[str, Any], path: str | Path, *, adapters: bool = False
) -> dict[str, Any]:
    """Adds the base's weights to a checkpoint that was read; see :func:`read_whole`."""
    base = _reference(checkpoint, str(path))
    if base is None:
        return checkpoint
    found = find_base(base, path)
    tensors = tensors_of(read_whole(found), str(found))
    theirs = rename(tensors, base["names"], base["prefix"], str(found))
    if missing := [name for name in base["names"] if name not in theirs]:
        raise WeightsError(f"{path}: its base {found} has no {missing[0]}. The file is damaged.")
    added = {name: theirs[name] for name in base["names"]}
    if not adapters:
        whole = {**tensors_of(checkpoint, str(path)), **added}
        meta = {key: value for key, value in checkpoint["meta"].items() if key != KEY}
        scale = checkpoint["meta"][KEY]["alpha"] / checkpoint["meta"][KEY]["rank"]
        try:
            return {**checkpoint, "state_dict": merge(whole, scale), "meta": meta}
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from None
    states = {
        state: {**checkpoint[state], **{before + name: t for name, t in added.items()}}
        for state, before in _STATES.items()
        if isinstance(checkpoint.get(state), Mapping)
    }
    return {**checkpoint, **states}


def check_adapter(
    checkpoint: Mapping[str, Any], path: str | Path, adapter: Adapter, resume: bool
) -> None:
    """Requires a checkpoint that a training begins with to be of its adapter, if of one.

    Raises:
        ConfigError: Its adapters are scaled otherwise; or it has none, and is to be resumed.
    """
    saved = meta_of(checkpoint, str(path)).get(KEY)
    if saved is None and resume:
        raise ConfigError(
            f"adapter: {path} is of a training without one. Start from its weights with "
            "--load-from, or remove the key."
        )
    if saved is None or "lora" not in (saved.get("type"), adapter.type):
        return
    theirs, ours = ((x["type"], x["rank"], x["alpha"]) for x in (saved, asdict(adapter)))
    if theirs != ours and (resume or saved.get("type") == adapter.type):
        raise ConfigError(
            f"adapter: type, rank and alpha are {ours}, those of {path} are {theirs}. Take these, "
            "or merge the file with mmsapiens convert --merge and start from that."
        )


def find_base(base: Mapping[str, Any], path: str | Path) -> Path:
    """Returns the file of a checkpoint's base, by its content.

    Looked at are the path that it had, the checkpoint's folder, and all below
    ``$SAPIENS_CHECKPOINT_ROOT``, by default ``checkpoints``.

    Raises:
        WeightsError: It is not there, or another file is in its place.
    """
    others = []
    for candidate in dict.fromkeys(_places(Path(base["path"]), Path(path))):
        if candidate.is_file():
            if sha256(candidate) == base["sha256"]:
                return candidate
            others.append(str(candidate))
    name, root = Path(base["path"]).name, _root()
    if others:
        raise WeightsError(
            f"{path} holds adapters of a base that {', '.join(others)} is not: its SHA-256 is "
            f"another than {base['sha256']}. Put the file that it was trained with below "
            f"SAPIENS_CHECKPOINT_ROOT ({root})."
        )
    raise WeightsError(
        f"{path} holds adapters, but not the weights of their base {name} (SHA-256 "
        f"{base['sha256']}), which is neither at {base['path']}, nor beside it, nor below "
        f"SAPIENS_CHECKPOINT_ROOT ({root}). Put it there; `mmsapiens models` downloads released "
        "ones."
    )


def sha256(path: str | Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _places(base: Path, path: Path) -> Iterator[Path]:
    yield from (base, path.parent / base.name)
    yield from sorted(_root().rglob(glob.escape(base.name)))


def _root() -> Path:
    return Path(os.environ.get("SAPIENS_CHECKPOINT_ROOT") or "checkpoints")


def _reference(checkpoint: Mapping[str, Any], source: str) -> dict[str, Any] | None:
    """What a checkpoint says of its base; None if it is whole."""
    adapter = meta_of(checkpoint, source).get(KEY)
    if adapter is None:
        return None
    base = adapter.get("base") if isinstance(adapter, Mapping) else None
    numbers = [adapter.get(key) for key in ("rank", "alpha")] if base else []
    names = base.get("names") if isinstance(base, Mapping) else None
    fits = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if (
        not fits
        or not isinstance(base, Mapping)
        or not all(isinstance(base.get(key), str) for key in ("path", "sha256"))
        or not Path(base["path"]).name
        or not isinstance(base.get("prefix"), str | None)
        or not all(type(n) in (int, float) and n > 0 for n in numbers)
    ):
        raise WeightsError(
            f"{source}: its meta['{KEY}'] does not say of which base it is. Copy the file again."
        )
    return dict(base)


def _has_adapters(model: nn.Module) -> bool:
    return any(is_adapter(name) for name, _ in model.named_parameters())


def _same(theirs: Tensor, ours: Tensor) -> bool:
    same_shape = theirs.shape == ours.shape
    return same_shape and torch.equal(theirs.to(ours.dtype), ours.detach().cpu())
