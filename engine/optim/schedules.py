"""Schedules of the learning rate, where MMEngine's ends too early."""

from __future__ import annotations

from typing import Any

from mmengine.optim import PolyLR as MMEnginePolyLR
from mmengine.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module(force=True)
class PolyLR(MMEnginePolyLR):
    """MMEngine's; converted to iterations, it reaches ``eta_min`` after the last one of ``end``.

    MMEngine's has it in the last one, which then learns nothing. With ``by_epoch=False`` in the
    config, where ``end`` is an iteration, it is MMEngine's.
    """

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, epoch_length: int, end: int, begin: int = 0, **kwargs: Any
    ) -> PolyLR:
        """Makes the schedule by iteration of one by epoch; see MMEngine."""
        steps = {"begin": int(begin * epoch_length), "end": int(end * epoch_length) + 1}
        return cls(*args, **{**kwargs, **steps, "by_epoch": False})
