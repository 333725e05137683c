"""Where a model runs."""

from __future__ import annotations

import torch

from engine.errors import ConfigError


def find_device(name: str | torch.device | None = None) -> torch.device:
    """Returns the device of that name; the GPU if there is one, else the CPU, for None or "auto".

    Raises:
        ConfigError: If it is unknown or not there.
    """
    if name is None or name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (AssertionError, AttributeError, RuntimeError) as error:
        raise ConfigError(f"device {name}: {str(error).splitlines()[0]}") from error
    return device
