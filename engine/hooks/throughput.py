"""How fast a training is, what it waits for, and what memory it takes."""

from __future__ import annotations

import resource
import sys
from collections import deque
from functools import cache, partial
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from engine.flops import device_peak_tflops, training_flops

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Logs, averaged over the last iterations:

    * ``images_per_s``, of all processes together;
    * ``data_share``, the share of a step spent waiting for data, in [0, 1];
    * ``model_tflops``, TFLOP/s of this process, by :func:`engine.flops.training_flops`;
    * ``mfu``, their share of the GPU's bf16 peak, on a GPU that :mod:`engine.flops` knows;

    and the most memory in GiB so far: ``device_gib``, what tensors took on the GPU since the last
    line of the log, and ``host_gib``, what this process or its largest worker took, each with
    what they share. The times are those of ``IterTimerHook``: the device is not waited for.

    Args:
        window: Number of iterations to average over.
    """

    priority = "NORMAL"  # after IterTimerHook, which is registered first, and before LoggerHook

    def __init__(self, window: int = 10) -> None:
        self.batch_sizes: deque[int] = deque(maxlen=window)
        self.peak_tflops: float | None = None

    def before_train(self, runner: Any) -> None:
        """Looks the GPU up."""
        self.batch_sizes.clear()
        self.flops = cache(partial(training_flops, runner.cfg.model))
        self.peak_tflops = device_peak_tflops()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Updates the figures."""
        inputs = data_batch["inputs"]
        self.batch_sizes.append(len(inputs))
        steps = len(self.batch_sizes)
        hub = runner.message_hub
        seconds = hub.get_scalar("train/time").mean(steps)
        images_per_s = sum(self.batch_sizes) / steps / seconds
        tflops = images_per_s * self.flops(tuple(inputs.shape[-2:])) / 1e12
        figures = {
            "images_per_s": images_per_s * get_world_size(),
            "data_share": hub.get_scalar("train/data_time").mean(steps) / seconds,
            "model_tflops": tflops,
            "host_gib": host_peak_bytes() / 2**30,
        }
        if self.peak_tflops is not None:
            figures["mfu"] = tflops / self.peak_tflops
        if torch.cuda.is_available():
            figures["device_gib"] = torch.cuda.max_memory_allocated() / 2**30
        for name, value in figures.items():
            hub.update_scalar(f"train/{name}", value)


def host_peak_bytes() -> int:
    """The most memory that this process, or the largest of its finished children, ever took."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return _RSS_UNIT * max(resource.getrusage(w).ru_maxrss for w in who)
