"""The moving average of weights, of sharded ones as well."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import EMAHook as MMEngineEMAHook
from mmengine.registry import HOOKS, MODELS
from torch import nn

from engine.parallel.shards import is_sharded


@HOOKS.register_module(force=True)
class EMAHook(MMEngineEMAHook):
    """MMEngine's; of a sharded model, each process averages its own shards.

    MMEngine copies the model, which cannot be done to a sharded one. The average needs no more of
    it than tensors under their names: it never computes, but lends the model its values.
    """

    def before_run(self, runner: Any) -> None:
        """Makes the average."""
        if not is_sharded(runner.model):
            super().before_run(runner)
            return
        self.src_model = runner.model
        self.ema_model = MODELS.build(
            self.ema_cfg, default_args={"model": _tensors_of(self.src_model)}
        )


def _tensors_of(module: nn.Module) -> nn.Module:
    """Returns modules of the same names, with the same tensors in the same order, and no more."""
    bare = nn.Module()
    for name, parameter in module._parameters.items():
        bare.register_parameter(name, parameter)
    for name, buffer in module._buffers.items():
        bare.register_buffer(name, buffer, name not in module._non_persistent_buffers_set)
    for name, child in module.named_children():
        bare.add_module(name, _tensors_of(child))
    return bare
