"""The recipe by which a model is spread over processes, in the order in which it is applied.

    parallelize(model, tensors, device=device, compile=True, sharding=Sharding(replicate=2))

1. *Freezing* is done: which parameters learn was said when the model was built. A shard takes it
   over from its parameter, so a layer that is frozen later would have gradients all the same.
2. *Activation checkpointing* is a switch of the model's parts, and outermost: what is recomputed in
   the backward pass is a whole block, with the gathering of its weights, which are there by then.
3. *Compiling* goes block by block: blocks of a kind share a compilation, and the collectives stay
   between what is compiled.
4. *Sharding* is last, as it owns the parameters: whatever replaced or looked at one after it would
   do so to a shard. Blocks first, then heads, then the rest with the root: each is one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
)

from engine.compile import compile_blocks
from engine.errors import ConfigError
from engine.parallel.shards import fill
from engine.precision import autocast_dtype


@dataclass(frozen=True)
class Sharding:
    """``sharding = dict(type="fsdp2", ...)`` of a config.

    Args:
        type: "fsdp2", PyTorch's ``fully_shard`` (Zhao et al., 2023).
        replicate: Groups of processes of which each holds a whole model: the number of nodes, say,
            so that only gradients cross the network between them. 1 spreads one over all.
        reshard_after_forward: Whether a block's weights are let go after the forward pass and
            gathered again for the backward pass: less memory, a third more on the wire.
        cpu_offload: Whether shards, their gradients and the optimizer live in the host's memory.
    """

    type: str = "fsdp2"
    replicate: int = 1
    reshard_after_forward: bool = True
    cpu_offload: bool = False

    def mesh(self, device_type: str) -> DeviceMesh:
        """Returns the processes, in one row, or in ``replicate`` rows with a whole model each.

        Raises:
            ConfigError: PyTorch is too old, they cannot be dealt to as many rows, or nothing can be
                offloaded.
        """
        if not hasattr(FSDPModule, "set_reshard_after_forward"):
            raise ConfigError(
                f"sharding: PyTorch {torch.__version__} cannot gather a model for an evaluation. "
                "Install a newer one, or remove the key."
            )
        world_size = dist.get_world_size()
        if world_size % self.replicate:
            raise ConfigError(
                f"sharding.replicate is {self.replicate}, but {world_size} processes are not a "
                "multiple of it. Give the number of nodes, or 1."
            )
        if self.cpu_offload and device_type == "cpu":
            raise ConfigError(
                "sharding.cpu_offload: there is no GPU to offload from. Remove the key."
            )
        if self.replicate == 1:
            return init_device_mesh(device_type, (world_size,), mesh_dim_names=("shard",))
        shape, names = (self.replicate, world_size // self.replicate), ("replicate", "shard")
        return init_device_mesh(device_type, shape, mesh_dim_names=names)


def sharded_dtype(cfg: Mapping[str, Any]) -> torch.dtype | None:
    """Returns what a sharded model computes in, by its config: bfloat16, or None for float32.

    Raises:
        ConfigError: The optimizer wrapper, or its precision, knows nothing of shards.
    """
    wrapper = cfg.get("optim_wrapper")
    if not wrapper:
        return autocast_dtype((cfg.get("model") or {}).get("eval_dtype"))
    if wrapper.get("type") != "AutocastOptimWrapper":
        raise ConfigError(
            f"sharding: a {wrapper.get('type', 'OptimWrapper')} does not know shards. Use "
            'optim_wrapper.type="AutocastOptimWrapper".'
        )
    dtype = autocast_dtype(wrapper.get("dtype", "bfloat16"))
    if dtype is torch.float16:
        raise ConfigError(
            "sharding: gradients in float16 would need a scale that all shards agree on. Use "
            'optim_wrapper.dtype="bfloat16".'
        )
    return dtype


def with_host_backend(env_cfg: dict, sharding: Mapping[str, Any] | None) -> dict:
    """Lets processes talk of what is in the host's memory, too, if shards are offloaded to it."""
    if not sharding or not sharding.get("cpu_offload") or not torch.cuda.is_available():
        return env_cfg
    dist_cfg = {**env_cfg.get("dist_cfg", {}), "backend": "cpu:gloo,cuda:nccl"}
    return {**env_cfg, "dist_cfg": dist_cfg}


def parallelize(
    model: nn.Module,
    tensors: Mapping[str, Tensor] | None,
    *,
    device: torch.device,
    sharding: Sharding,
    dtype: str | torch.dtype | None = None,
    compile: bool | dict[str, Any] = False,
) -> nn.Module:
    """Spreads a model over all processes; see the module for the order.

    Args:
        model: On the CPU, frozen as it is to be; changed in place. Values of its parameters do not
            count, and their memory is let go.
        tensors: On rank 0 its parameters and buffers by name; None on the others.
        device: Where this process computes.
        sharding: How.
        dtype: That matrix products are cast to; GPUs send weights in it, too. Shards, sums of
            gradients, and what lies outside blocks and heads, are float32 in any case.
        compile: See :func:`engine.compile.compile_blocks`.

    Returns:
        The model, whose parameters are ``DTensor``: this process's rows of them.

    Raises:
        ConfigError: A setting does not fit the processes, or the model cannot be compiled.
    """
    mesh = sharding.mesh(device.type)
    compile_blocks(model, compile)
    _forget_values(model)
    offload = CPUOffloadPolicy() if sharding.cpu_offload else OffloadPolicy()
    # Autocast casts activations where it does without shards: tokens add up in float32. The layer
    # norm of a CPU, which autocast leaves alone there, takes no float32 with weights in bfloat16.
    sent = None if device.type == "cpu" else autocast_dtype(dtype)
    low = MixedPrecisionPolicy(sent, torch.float32, cast_forward_inputs=False)
    whole = MixedPrecisionPolicy(cast_forward_inputs=False)
    for block in _blocks(model):
        fully_shard(
            block,
            mesh=mesh,
            reshard_after_forward=sharding.reshard_after_forward,
            mp_policy=low,
            offload_policy=offload,
        )
    # The backward pass begins with heads, and with them the root: to let go were to gather again.
    for head in _heads(model):
        fully_shard(
            head, mesh=mesh, reshard_after_forward=False, mp_policy=low, offload_policy=offload
        )
    fully_shard(
        model, mesh=mesh, reshard_after_forward=False, mp_policy=whole, offload_policy=offload
    )
    home = torch.device("cpu") if sharding.cpu_offload else device
    model._apply(lambda t: torch.empty_like(t, device=home) if t.is_meta else t.to(device))
    fill(model, tensors, device)
    return model


def _blocks(model: nn.Module) -> Iterator[nn.Module]:
    """The members of each list of layers."""
    for module in model.modules():
        if isinstance(module, nn.ModuleList):
            yield from module


def _heads(model: nn.Module) -> Iterator[nn.Module]:
    """What follows the backbone, where it has weights besides those of its blocks."""
    for name, child in model.named_children():
        parameters = {id(p) for p in child.parameters()}
        for module in child.modules():
            if isinstance(module, FSDPModule):
                parameters -= {id(p) for p in module.parameters()}
        if name != "backbone" and parameters:
            yield child


def _forget_values(model: nn.Module) -> None:
    """Moves the parameters, and not the buffers, to the meta device."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                empty = torch.empty_like(parameter, device="meta")
                module._parameters[name] = nn.Parameter(empty, parameter.requires_grad)
