"""Floating-point operations of a model, and what a GPU could do of them."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import MODELS
from torch.utils.flop_counter import FlopCounterMode

DENSE_BF16_TFLOPS = {
    "B200": 2250.0,
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "A100": 312.0,
    "A40": 149.7,
    "A10G": 70.0,
    "A10": 125.0,
    "A6000": 154.8,
    "L40S": 362.0,
    "L40": 181.0,
    "L4": 121.0,
    "RTX 5090": 209.5,
    "RTX 4090": 165.2,
    "RTX 3090": 71.0,
}
"""Part of a GPU's name -> peak of its data sheet, without sparsity, accumulating in float32."""


def training_flops(model_cfg: dict, size_hw: tuple[int, int]) -> int:
    """Counts the floating-point operations that training on one image takes of a model.

    A multiplication and its addition are two operations. Matrix products count, those of the
    attention included, and nothing else does. The backward pass is taken as twice the forward
    pass, though layers be frozen; computing activations again for it does not count. These are the
    *model* FLOPs of Chowdhery et al. (PaLM, 2022), appendix B, of which MFU is made. The figures in
    the Sapiens paper are half the forward pass: they count a multiplication with its addition
    once, and leave out the attention's products.

    Args:
        model_cfg: Config of the model, which is built without memory.
        size_hw: (H, W) of the input.
    """
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = MODELS.build(model_cfg)
        model(torch.empty(1, 3, *size_hw), mode="tensor")
    return 3 * counter.get_total_flops()


def peak_tflops(device_name: str) -> float | None:
    """Returns the dense bf16 peak of a GPU in TFLOP/s, or None if it is not a known one."""
    words = f" {device_name.replace('-', ' ')} "
    known = [name for name in DENSE_BF16_TFLOPS if f" {name} " in words]
    return DENSE_BF16_TFLOPS[max(known, key=len)] if known else None


def device_peak_tflops(device: Any = None) -> float | None:
    """As :func:`peak_tflops`, for a device of this machine; None for a CPU."""
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return peak_tflops(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
