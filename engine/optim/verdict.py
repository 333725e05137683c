"""How a step went, as the device tells it: without waiting for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Verdict:
    """Numbers of a step on their way to the host.

    Args:
        numbers: (N,), on any device.
        count: Of the backward passes until the step.
    """

    def __init__(self, numbers: Tensor, count: int) -> None:
        self.count = count
        self._host, self._copied = numbers.detach(), None
        if numbers.device.type == "cuda":
            self._host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
            self._host.copy_(numbers.detach(), non_blocking=True)
            self._copied = torch.cuda.current_stream(numbers.device).record_event()

    def read(self) -> list[float]:
        """Returns the numbers; waits until the device has come to where they were made."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._host.tolist()


def skips_on_device(optimizer: Optimizer, found: Tensor) -> bool:
    """Whether an optimizer leaves out a step because of what is on the device: fused ones do.

    Args:
        optimizer: Any.
        found: As for :func:`skipping_if`. The parameters must be where it is.
    """
    is_there = optimizer.param_groups[0]["params"][0].device.type == found.device.type
    return is_there and getattr(optimizer, "_step_supports_amp_scaling", False)


@contextmanager
def skipping_if(optimizer: Any, found: Tensor) -> Iterator[None]:
    """Inside it, ``optimizer.step`` changes nothing if ``found`` (), float32, is 1.

    As :class:`torch.amp.GradScaler` tells it to fused optimizers.
    """
    optimizer.grad_scale, optimizer.found_inf = None, found
    try:
        yield
    finally:
        del optimizer.grad_scale, optimizer.found_inf
