"""What sharded training costs on many GPUs, on paper: bytes on the wire against the computing.

Nothing is measured here. The operations of a step are counted, as are the weights, and from the
rates that a data sheet gives follows how long each takes; whatever can overlap does.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import torch
from mmengine.registry import MODELS, init_default_scope
from rich.console import Console
from torch import nn

from engine.config import load_config
from engine.errors import ConfigError
from engine.flops import DENSE_BF16_TFLOPS, training_flops
from engine.tables import format_table

_HALF, _FULL = 2, 4  # bytes of a number in bfloat16, which weights are sent in, and of a gradient
_STATE = 4 * _FULL  # weight, gradient and AdamW's two moments
_NODE = 8  # GPUs that see each other over NVLink
_HOP = 3e-6  # seconds from one GPU of a ring to the next, of NVLink and network on average


class Model(NamedTuple):
    """What a step of a model needs on a GPU: FLOP, numbers of all weights, messages a pass."""

    flops: float
    weights: int
    messages: int


class Step(NamedTuple):
    """A step of a GPU: bytes it sends over both links, seconds of each part, bytes of its state."""

    nvlink: float
    network: float
    computing: float
    sending: float
    hopping: float
    state: float

    @property
    def efficiency(self) -> float:
        """Computing in the time of a step, if all overlaps that can."""
        return self.computing / max(self.computing, self.sending + self.hopping)

    @property
    def limit(self) -> str:
        """What the step waits for."""
        if self.efficiency == 1:
            return "computing"
        return "hops of the rings" if self.hopping > self.sending else "bytes on the wire"


def count(config: str, options: dict | None, batch_size: int) -> Model:
    """Counts what a step of a config's model needs."""
    cfg = load_config(config, options)
    init_default_scope(cfg.default_scope)
    with torch.device("meta"):
        model = MODELS.build(cfg.model)
    blocks = sum(len(m) for m in model.modules() if isinstance(m, nn.ModuleList))
    flops = batch_size * training_flops(cfg.model, tuple(cfg.input_size_hw))
    return Model(flops, sum(p.numel() for p in model.parameters()), blocks + 2)


def step_of(
    model: Model, gpus: int, replicate: int, tflops: float, nvlink: float, network: float
) -> Step:
    """Estimates a step on as many GPUs, in ``replicate`` groups with a whole model each.

    In a ring of n, each GPU sends (n - 1) / n of a message: weights in bfloat16 for both passes,
    gradients in float32. What comes to a node comes once, over the links of its 8 GPUs together.
    Groups then sum their shards of the gradients, twice round.

    Args:
        model: What it needs.
        gpus: Number of GPUs, a multiple of ``replicate``.
        replicate: As in ``sharding``.
        tflops: That a GPU reaches.
        nvlink: GB/s that a GPU reaches to the others of its node, each way.
        network: Likewise to those of other nodes.
    """
    shards = gpus // replicate
    gathered = model.weights * (2 * _HALF + _FULL) * (shards - 1) / shards
    summed = 2 * model.weights / shards * _FULL * (replicate - 1) / replicate
    crossing = 0.0 if shards <= _NODE else gathered / _NODE
    hops = 3 * (shards - 1) + 2 * (replicate - 1)
    sending = max(gathered / nvlink, crossing / network) + summed / network
    computing, state = model.flops / (tflops * 1e12), model.weights * _STATE / shards
    hopping = model.messages * hops * _HOP
    return Step(gathered, crossing + summed, computing, sending / 1e9, hopping, state)


def run(args: argparse.Namespace) -> None:
    """Prints the table of a config, sharded over all GPUs and over those of each node."""
    if args.gpu not in DENSE_BF16_TFLOPS:
        raise ConfigError(f"--gpu {args.gpu}: known are {', '.join(DENSE_BF16_TFLOPS)}.")
    model = count(args.config, args.cfg_options, args.batch_size)
    rates = (args.mfu * DENSE_BF16_TFLOPS[args.gpu], args.nvlink, args.network)
    steps = {
        (gpus, replicate): step_of(model, gpus, replicate, *rates)
        for gpus in args.gpus
        for replicate in (1, max(1, gpus // _NODE))
    }
    heading = (
        f"{args.config}: {model.weights / 1e9:.2f} G weights, {model.flops / 1e12:.0f} TFLOP a GPU "
        f"and step of {args.batch_size}, {args.gpu} at {args.mfu:.0%}\n"
    )
    Console().print(heading, soft_wrap=True)
    Console().print(table(steps), highlight=False, soft_wrap=True)


def table(steps: dict[tuple[int, int], Step]) -> str:
    """Formats steps by (GPUs, replicate): GiB, milliseconds, and what limits."""
    rows = [
        (
            *map(str, key),
            *(f"{size / 2**30:.2f}" for size in (step.state, step.nvlink, step.network)),
            *(f"{1e3 * t:.0f}" for t in (step.computing, step.sending, step.hopping)),
            f"{step.efficiency:.0%}",
            step.limit,
        )
        for key, step in steps.items()
    ]
    head = ("GPUs", "replicate", "state GiB", "NVLink GiB", "network GiB", "computing ms")
    return format_table((*head, "sending ms", "hops ms", "efficiency", "limit"), rows)
