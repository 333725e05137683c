"""What a checkpoint's tensors hold: numbers of the model's kind, and finite."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.checkpoint.match import listing
from engine.errors import WeightsError
from engine.parallel.shards import local

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""Of weights. 8-bit floats go with a scale, which no model of ours has."""


def check_kinds(
    tensors: Mapping[str, Tensor], model_tensors: Mapping[str, Tensor], source: str
) -> None:
    """Requires floats where the model has floats, whole numbers where it has those.

    A float of another precision is cast when it is loaded; whatever else PyTorch would cast are no
    weights: numbers of a quantized model without their scales, say.

    Raises:
        WeightsError: Lists those of another kind, or that :func:`check_whole` refuses.
    """
    common = {key: (tensors[key], ours) for key, ours in model_tensors.items() if key in tensors}
    bad = [
        f"{key} {theirs.dtype} in the file, {ours.dtype} in the model".replace("torch.", "")
        for key, (theirs, ours) in common.items()
        if _kind(theirs) != _kind(ours)
    ]
    if bad:
        raise WeightsError(
            f"{source} holds another kind of numbers than the model: {listing(bad)}. Give the "
            "weights as they were trained, in floating point."
        )
    check_whole({key: theirs for key, (theirs, _) in common.items()}, source)


def check_whole(tensors: Mapping[str, Tensor], source: str) -> None:
    """Requires a number in the file for each that a tensor has: its size is no claim then.

    Raises:
        WeightsError: Lists the tensors that repeat their numbers.
    """
    repeated = [
        key
        for key, tensor in ((key, local(tensor)) for key, tensor in tensors.items())
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
    ]
    if repeated:
        raise WeightsError(
            f"{source}: {listing(repeated)}: the file has fewer numbers than the shape, which "
            "repeats them. Save the whole tensor: what .contiguous() returns."
        )


def _kind(tensor: Tensor) -> str:
    if tensor.dtype in FLOATS:
        return "float"
    is_other = tensor.is_complex() or tensor.is_floating_point()
    return str(tensor.dtype) if is_other else "whole"


def check_finite(tensors: Mapping[str, Tensor], source: str) -> None:
    """Requires numbers that are neither infinite nor NaN.

    Raises:
        WeightsError: Lists the tensors with others.
    """
    bad = [key for key, tensor in tensors.items() if not is_finite(tensor)]
    if bad:
        raise WeightsError(
            f"{source} holds numbers that are infinite or not a number (NaN): {listing(bad)}. The "
            "training that wrote it had diverged, or the file is damaged: take an earlier one."
        )


def is_finite(tensor: Tensor) -> bool:
    """Whether all numbers are finite, of a shard this process's.

    Those that are no floats of weights need not be looked at.
    """
    if tensor.dtype not in FLOATS:
        return True
    tensor = local(tensor)
    # The sum, of which anything else makes NaN or infinity, is 30 times faster than a look at each.
    return bool(torch.isfinite(tensor.sum())) or bool(tensor.isfinite().all())
