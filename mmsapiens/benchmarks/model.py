"""How long a training step takes, part by part, and how much memory, on synthetic input."""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from rich.console import Console
from torch import nn

from engine.adapters import Adapter, apply_adapter
from engine.allocator import keep_freed_memory
from engine.compile import compile_blocks
from engine.config import load_config
from engine.flops import device_peak_tflops, training_flops
from engine.hooks.throughput import host_peak_bytes
from engine.model.base import BaseModel
from engine.model.layers import InstanceNormSiLU
from engine.tables import format_table


@dataclass(frozen=True)
class Variant:
    """What to measure."""

    config: str
    options: dict | None
    batch_size: int
    dtype: str
    device: str
    steps: int
    cpu_time: bool
    compile: bool = False
    activation_checkpointing: bool = False
    plain: bool = False
    """With torch's own InstanceNorm2d and SiLU in place of :class:`InstanceNormSiLU`."""

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Variant:
        """Takes from a command line what it says of a variant."""
        said = {
            field.name: getattr(args, field.name) for field in fields(cls) if field.name in args
        }
        return cls(**said, options=args.cfg_options)

    @property
    def name(self) -> str:
        """A label for a table."""
        return (
            ("plain eager " if self.plain else "")
            + self.dtype
            + (" + compiled" if self.compile else "")
            + (" + activation checkpointing" if self.activation_checkpointing else "")
        )


@dataclass(frozen=True)
class Timing:
    """Of the fastest step."""

    seconds: float
    parts: dict[str, float]
    """Seconds of each part of the step, by name."""
    peak_bytes: int
    """The most memory: of tensors on a GPU; on a CPU, what the process grew by."""
    tflops: float
    """Model TFLOP/s."""
    mfu: float | None


def run(args: argparse.Namespace) -> None:
    """Measures each variant in a process of its own, and prints the results."""
    variants = [Variant.from_args(args)]
    if args.compare:
        kept, again = (replace(variants[0], activation_checkpointing=on) for on in (False, True))
        variants = [replace(kept, dtype="float32", compile=False, plain=True), kept, again]
    timings = [measure_apart(v) for v in variants]
    console = Console()
    device = torch.cuda.get_device_name(args.device) if args.device.startswith("cuda") else "CPU"
    console.print(f"{args.config}: batch of {args.batch_size}, {device}, fastest of {args.steps}")
    for table in (_summary(variants, timings), _parts_table(variants, timings)):
        console.print(f"\n{table}", highlight=False, soft_wrap=True)


def measure_apart(variant: Variant) -> Timing:
    """As :func:`measure`, in a process of its own, so that the peak of memory is its own, too."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(measure, variant).result()


def measure(variant: Variant) -> Timing:
    """Trains on random images of the config's size, and on random targets of the model's own."""
    switch = {"activation_checkpointing": True} if variant.activation_checkpointing else {}
    cfg = load_config(variant.config, {**(variant.options or {}), **switch})
    init_default_scope(cfg.get("default_scope", "mmengine"))
    MMLogger.get_current_instance().setLevel("WARNING")
    imported_bytes = host_peak_bytes()
    keep_freed_memory()
    size_hw = tuple(cfg.input_size_hw)
    torch.manual_seed(0)
    model: BaseModel = MODELS.build(cfg.model)
    if cfg.get("adapter"):
        apply_adapter(model, Adapter(**cfg.adapter), variant.dtype)
    model.to(variant.device)
    if variant.plain:
        for name, module in list(model.named_modules()):
            if isinstance(module, InstanceNormSiLU):
                model.set_submodule(name, _PlainNormSiLU())
    if variant.compile:
        compile_blocks(model)
    wrapper = build_optim_wrapper(model, {**cfg.optim_wrapper, "dtype": variant.dtype})
    inputs = torch.randn(variant.batch_size, 3, *size_hw, device=variant.device)
    targets = model.synthetic_targets(inputs)

    steps = [
        _step(model, wrapper, inputs, targets, variant.cpu_time) for _ in range(1 + variant.steps)
    ]
    best = min(steps[1:] or steps, key=lambda parts: sum(parts.values()))
    seconds = sum(best.values())
    tflops = training_flops(cfg.model, size_hw) * variant.batch_size / seconds / 1e12
    peak = device_peak_tflops(variant.device)
    grown_bytes = host_peak_bytes() - imported_bytes
    memory = torch.cuda.max_memory_allocated() if inputs.is_cuda else grown_bytes
    return Timing(seconds, best, memory, tflops, tflops / peak if peak else None)


class _PlainNormSiLU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.silu(nn.functional.instance_norm(x), inplace=True)


def _step(
    model: BaseModel,
    wrapper: Any,
    inputs: torch.Tensor,
    targets: dict[str, torch.Tensor],
    cpu_time: bool,
) -> dict[str, float]:
    """Takes one step; returns the seconds of its parts, which add up to those of the step."""

    def clock() -> float:
        if inputs.is_cuda:
            torch.cuda.synchronize(inputs.device)
        return time.process_time() if cpu_time else time.perf_counter()

    parts: dict[str, float] = {}
    start = clock()
    with wrapper.optim_context(model), _timed_children(model, parts, clock):
        loss, _ = model.parse_losses(model(inputs, mode="loss", targets=targets))
    forward_end = clock()
    parts["loss"] = forward_end - start - sum(parts.values())
    wrapper.backward(loss)
    backward_end = clock()
    parts["backward"] = backward_end - forward_end
    wrapper.step()
    wrapper.zero_grad()
    parts["optimizer"] = clock() - backward_end
    return parts


@contextmanager
def _timed_children(
    model: nn.Module, parts: dict[str, float], clock: Callable[[], float]
) -> Iterator[None]:
    """Adds the seconds of each child's forward pass to ``parts``."""
    starts: dict[str, float] = {}

    def before(name: str) -> Callable:
        return lambda *_: starts.update({name: clock()})

    def after(name: str) -> Callable:
        return lambda *_: parts.update({name: parts.get(name, 0.0) + clock() - starts[name]})

    with ExitStack() as hooks:
        for name, child in model.named_children():
            hooks.enter_context(child.register_forward_pre_hook(before(name)))
            hooks.enter_context(child.register_forward_hook(after(name)))
        yield


def _summary(variants: list[Variant], timings: list[Timing]) -> str:
    first = timings[0]
    rows = [
        [
            variant.name,
            f"{timing.seconds:.3f}",
            f"{variant.batch_size / timing.seconds:.3f}",
            f"{first.seconds / timing.seconds:.2f}",
            f"{timing.peak_bytes / 2**30:.2f}",
            f"{first.peak_bytes / timing.peak_bytes:.2f}",
            f"{timing.tflops:.3f}",
            "" if timing.mfu is None else f"{timing.mfu:.1%}",
        ]
        for variant, timing in zip(variants, timings, strict=True)
    ]
    header = "training step", "s", "images/s", "speed x", "peak GiB", "memory /", "TFLOP/s", "MFU"
    return format_table(header, rows)


def _parts_table(variants: list[Variant], timings: list[Timing]) -> str:
    rows = [
        [variant.name, *(f"{seconds:.3f}" for seconds in timing.parts.values())]
        for variant, timing in zip(variants, timings, strict=True)
    ]
    return format_table(["seconds", *timings[0].parts], rows)
