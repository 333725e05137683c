"""Checkpoints of sharded trainings: a folder with what each process held of the tensors.

    epoch_3.dcp/  .metadata  training.pth  __0_0.distcp  __1_0.distcp ...

``training.pth`` is a checkpoint as others are, without its tensors; these are under their paths in
it, such as ``state_dict/backbone.pos_embed`` and ``optimizer/17/exp_avg``, in PyTorch's format of
distributed checkpoints. A folder under its final name is complete.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from engine.checkpoint.sharded_metadata import SafeReader, read_index
from engine.errors import WeightsError

SUFFIX = ".dcp"
STATE = "training.pth"
_TABLES = ("state_dict", "ema_state_dict")

#: Makes of a tensor's path what it is to be read into, None for a whole tensor on the CPU.
Like = Callable[[str], Tensor | None]


def split(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors of a checkpoint by their paths, and the checkpoint without them."""
    rest, tensors = dict(checkpoint), dict[str, Tensor]()
    for table in _TABLES:
        if table in rest:
            tensors |= {f"{table}/{name}": value for name, value in rest[table].items()}
            rest[table] = {}
    if "optimizer" in rest:
        state = {}
        for i, entry in rest["optimizer"]["state"].items():
            state[i] = {k: v for k, v in entry.items() if not isinstance(v, Tensor)}
            tensors |= {f"optimizer/{i}/{k}": v for k, v in entry.items() if k not in state[i]}
        rest["optimizer"] = {**rest["optimizer"], "state": state}
    return tensors, rest


def join(tensors: Mapping[str, Tensor], rest: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The reverse of :func:`split`.

    Raises:
        WeightsError: There is no place for a tensor.
    """
    checkpoint = dict(rest)
    for path, tensor in tensors.items():
        table, _, name = path.partition("/")
        try:
            if table == "optimizer":
                i, _, key = name.partition("/")
                checkpoint[table]["state"].setdefault(int(i), {})[key] = tensor
            else:
                checkpoint[table][name] = tensor
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsError(
                f"{source}: nothing in its {STATE} says what {path} is. Copy it again, or take an "
                "earlier one."
            ) from error
    return checkpoint


def is_sharded_checkpoint(path: str | Path) -> bool:
    """Whether a path is a folder of this kind."""
    return os.path.isfile(Path(path, ".metadata"))  # also of what is no path: no error


def read_tensors(folder: Path, tables: Collection[str], like: Like) -> dict[str, Tensor]:
    """Reads tensors by their paths, of each the part that this process is to have.

    Args:
        folder: The checkpoint.
        tables: Which: those whose paths begin with one of these.
        like: Of what form each shall be, if of its shape.

    Raises:
        WeightsError: The folder cannot be read.
    """
    index = read_index(folder)
    tensors = {}
    for path, found in index.state_dict_metadata.items():
        if path.partition("/")[0] in tables and isinstance(found, TensorStorageMetadata):
            ours, dtype = like(path), found.properties.dtype
            if ours is not None and ours.shape == found.size:
                tensors[path] = torch.empty_like(ours, dtype=dtype, requires_grad=False)
            else:
                tensors[path] = torch.empty(found.size, dtype=dtype)
    try:
        with warnings.catch_warnings():  # each process reads on its own, which it warns of
            warnings.simplefilter("ignore", UserWarning)
            dcp.load(tensors, storage_reader=SafeReader(folder, index), no_dist=True)
    except (Exception, CheckpointException) as error:  # a damaged file can raise anything
        raise WeightsError(
            f"{folder} cannot be read ({str(error).splitlines()[-1]:.200}). Copy it again, or take "
            "an earlier one."
        ) from error
    return tensors
