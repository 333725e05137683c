"""What is put around a model, such as for data parallelism, and how to see through it."""

from __future__ import annotations

from typing import Any

from torch import nn


def unwrap(model: nn.Module) -> Any:
    """Returns the model within data-parallel and compiled wrappers, or the model itself."""
    while isinstance(
        inner := getattr(model, "module", getattr(model, "_orig_mod", None)), nn.Module
    ):
        model = inner
    return model
