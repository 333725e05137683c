"""What a step costs by mask ratio, without and with activation checkpointing."""

from argparse import Namespace
from dataclasses import replace

import pytest

from mmsapiens.benchmarks.mask import table, variants_of
from mmsapiens.benchmarks.model import measure


def test_ratios_are_measured_without_and_with_checkpointing(root):
    args = Namespace(
        config=str(root / "configs/pretrain/synthetic/mae_sapiens_tiny_synthetic-256x256.py"),
        cfg_options={"input_size_hw": (64, 64)},
        mask_ratios=[0.0, 0.75],
        batch_size=1,
        dtype="float32",
        device="cpu",
        steps=1,
        cpu_time=True,
    )
    variants = variants_of(args)
    assert list(variants) == [(0.0, False), (0.0, True), (0.75, False), (0.75, True)]
    for (ratio, recompute), variant in variants.items():
        assert variant.options["model.backbone.mask_ratio"] == ratio
        assert variant.activation_checkpointing == recompute
    # The peak of memory is that of a process of its own, which run() gives each.
    timings = [replace(measure(v), peak_bytes=2**30) for v in variants.values()]
    lines = table(list(variants), timings).splitlines()
    assert lines[0].split()[:2] == ["mask", "ratio"] and len(lines) == 6
    assert lines[-1].startswith("0.75, activation checkpointing")
    step = float(lines[2].split()[4])
    assert step == pytest.approx(timings[0].seconds, abs=5e-4)
