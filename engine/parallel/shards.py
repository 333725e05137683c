"""Shards of a model: filled from one process, gathered for a while, looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor


def is_sharded(model: nn.Module) -> bool:
    """Whether a model is what :func:`engine.parallel.parallelize` returns."""
    return isinstance(model, FSDPModule)


def local(tensor: Tensor) -> Tensor:
    """Returns this process's part of a tensor; a tensor that is not sharded itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def device_of(tensor: Tensor) -> torch.device:
    """Returns where a tensor computes, which is not where a shard rests that is offloaded."""
    if isinstance(tensor, DTensor):
        return torch.device(tensor.device_mesh.device_type)
    return tensor.device


def whole(tensor: Tensor) -> Tensor:
    """Returns all of a tensor on each process, which all must ask for; see :func:`local`."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def fill(model: nn.Module, tensors: Mapping[str, Tensor] | None, device: torch.device) -> None:
    """Sends a model's tensors from rank 0 to all, of which each keeps its part, one at a time.

    Args:
        model: Sharded.
        tensors: On rank 0 the parameters and buffers by name; None on the others.
        device: Over which processes talk.
    """
    for name, target in [*model.named_parameters(), *model.named_buffers()]:
        if tensors is None:
            tensor = torch.empty(target.shape, dtype=target.dtype, device=device)
        else:
            tensor = tensors[name].detach().to(device).contiguous()
        dist.broadcast(tensor, 0)
        local(target).copy_(local(part(tensor, target)) if isinstance(target, DTensor) else tensor)


def part(tensor: Tensor, like: DTensor) -> DTensor:
    """Returns what is this process's part of a whole tensor, that is sharded as another one is."""
    device = like.device_mesh.device_type
    return distribute_tensor(
        tensor.to(device), like.device_mesh, like.placements, src_data_rank=None
    )


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Within it each process has all weights of a sharded model, and passes send nothing.

    Ranks may then make different numbers of them: an evaluation has not as many batches for each.
    All ranks must enter and leave; a model that is not sharded is left alone.
    """
    units = [module for module in model.modules() if isinstance(module, FSDPModule)]
    if units:
        units[0]._get_fsdp_state()._lazy_init()  # of the root, which a first pass would make
    resharding = [unit for unit in units if _reshards(unit)]
    for unit in resharding:
        unit.set_reshard_after_forward(False, recurse=False)
    for unit in units:
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.reshard()
        for unit in resharding:
            unit.set_reshard_after_forward(True, recurse=False)


def _reshards(unit: FSDPModule) -> bool:
    group = unit._get_fsdp_state()._fsdp_param_group
    return group is not None and group._reshard_after_forward
