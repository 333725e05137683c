"""What is put around a model, such as for data parallelism, and how to see through it."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

_WRAPPED = re.compile(r"\b(_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module)\.")


def plain_name(name: str) -> str:
    """Returns a parameter's name without what compiling, checkpointing and sharding add to it."""
    return _WRAPPED.sub("", name)


def unwrap(model: nn.Module) -> Any:
    """Returns the model within data-parallel and compiled wrappers, or the model itself."""
    while isinstance(
        inner := getattr(model, "module", getattr(model, "_orig_mod", None)), nn.Module
    ):
        model = inner
    return model
