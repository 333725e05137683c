"""In which precision matrix products run: in training, evaluation and inference."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from engine.config.keys import did_you_mean
from engine.errors import ConfigError

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": None}


def autocast_dtype(name: str | torch.dtype | None, key_name: str = "dtype") -> torch.dtype | None:
    """Returns the type that matrix products are cast to, or None for plain float32.

    Args:
        name: ``"bfloat16"``, ``"float16"``, ``"float32"``, the torch.dtype itself, or None
            (float32).
        key_name: What a config calls it, for the message.

    Raises:
        ConfigError: For anything else.
    """
    key = "float32" if name is None else str(name).removeprefix("torch.")
    if key not in _DTYPES:
        raise ConfigError(
            f'{key_name}: expected one of {", ".join(_DTYPES)}, found "{name}".'
            f"{did_you_mean(key, _DTYPES)}"
        )
    return _DTYPES[key]


def autocast_context(
    device_type: str, dtype: str | torch.dtype | None
) -> AbstractContextManager[None]:
    """Returns the context in which training, evaluation and inference run the model.

    Args:
        device_type: Where the model is: ``"cuda"``, ``"cpu"``, ...
        dtype: As for :func:`autocast_dtype`.

    Raises:
        ConfigError: For float16 on a CPU, or an unknown dtype.
    """
    dtype = autocast_dtype(dtype)
    if dtype is None:
        return nullcontext()
    if dtype is torch.float16 and device_type == "cpu":
        raise ConfigError(
            'dtype: "float16" needs a GPU, and the model is on the CPU. '
            'Use "bfloat16" or "float32".'
        )
    return torch.autocast(device_type, dtype=dtype)


def keep_in(model: nn.Module, dtype: str | torch.dtype | None) -> None:
    """Casts a model that is not trained to what autocast would cast in each of its forward passes.

    Predictions under :func:`autocast_context` stay the same, bit for bit; in half the memory, and
    without the time of casting. All but linear layers and convolutions stay as they are.

    Args:
        model: Cast in place.
        dtype: As for :func:`autocast_dtype`; nothing happens for float32.
    """
    dtype = autocast_dtype(dtype)
    if dtype is None:
        return
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            module.to(dtype)
        else:  # a copy, as one tensor that is mapped to a file keeps all of the file mapped
            module._apply(Tensor.clone, recurse=False)
