"""How a training step of masked autoencoding gets cheaper with the mask."""

from __future__ import annotations

import argparse
from dataclasses import replace

from rich.console import Console

from engine.tables import format_table
from mmsapiens.benchmarks.model import Timing, Variant, measure_apart


def run(args: argparse.Namespace) -> None:
    """Measures each ratio without and with activation checkpointing, each in its own process."""
    variants = variants_of(args)
    timings = [measure_apart(variant) for variant in variants.values()]
    console = Console()
    heading = f"{args.config}: batch of {args.batch_size}, fastest of {args.steps}\n"
    console.print(heading, soft_wrap=True)
    console.print(table(list(variants), timings), highlight=False, soft_wrap=True)


def variants_of(args: argparse.Namespace) -> dict[tuple[float, bool], Variant]:
    """Returns what to measure, by mask ratio and whether activations are computed again."""
    off = {f"model.{part}.activation_checkpointing": False for part in ("backbone", "neck")}
    options = {**(args.cfg_options or {}), **off}
    plain = Variant.from_args(args)
    return {
        (ratio, recompute): replace(
            plain,
            options={**options, "model.backbone.mask_ratio": ratio},
            activation_checkpointing=recompute,
        )
        for ratio in args.mask_ratios
        for recompute in (False, True)
    }


def table(names: list[tuple[float, bool]], timings: list[Timing]) -> str:
    """Formats timings; speed and memory are relative to the first."""
    first = timings[0]
    rows = [
        (
            f"{ratio:g}{', activation checkpointing' if recompute else ''}",
            *(f"{timing.parts[part]:.3f}" for part in ("backbone", "neck", "backward")),
            f"{timing.seconds:.3f}",
            f"{first.seconds / timing.seconds:.2f}",
            f"{timing.peak_bytes / 2**30:.2f}",
            f"{first.peak_bytes / timing.peak_bytes:.2f}",
        )
        for (ratio, recompute), timing in zip(names, timings, strict=True)
    ]
    parts = ("encoder s", "decoder s", "backward s", "step s")
    return format_table(("mask ratio", *parts, "speed x", "peak GiB", "memory /"), rows)
