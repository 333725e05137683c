"""Training in mixed precision on any device, in which no non-finite gradient becomes a step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from engine.config.keys import reject_unknown
from engine.errors import ConfigError, NonFiniteError
from engine.history import LateMessageHub
from engine.optim.verdict import Verdict, skipping_if, skips_on_device
from engine.parallel.shards import device_of, whole
from engine.precision import autocast_context, autocast_dtype

# fairseq gives up at this scale too: the gradients overflow whatever they are scaled by.
_MIN_LOSS_SCALE = 1e-4


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the model under autocast, and steps the float32 parameters.

    Accumulation is MMEngine's. Clipping is too, but a non-finite loss or gradient never reaches the
    parameters: the step raises, or is skipped and counted (``skipped_steps``, and the scalar
    ``train/skipped_steps``). With float16 a gradient that overflows is expected now and then: the
    scaler skips the step and lowers its scale.

    Args:
        optimizer: Of parameters that are already on their device.
        dtype: ``"bfloat16"``, ``"float16"`` (GPU only) or ``"float32"`` (plain training).
        loss_scale: float16 only: ``"dynamic"`` (the default), a constant, or the keyword arguments
            of torch.amp.GradScaler.
        accumulative_counts: Iterations whose gradients are averaged into one step.
        clip_grad: ``dict(max_norm=..., norm_type=2)``, or ``dict(type="value", clip_value=...)``.
        on_nonfinite: ``"raise"``, or ``"skip"`` for steps whose loss or gradient is not finite.
        max_skipped: With ``"skip"``, so many such steps in a row are skipped; the next one raises.

    Attributes:
        last_count: Backward passes until the last step of which it is known how it went.

    Raises:
        ConfigError: For float16 on a CPU, ``loss_scale`` without float16, or an unknown key.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        dtype: str | torch.dtype | None = "bfloat16",
        loss_scale: str | float | dict | None = None,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
        on_nonfinite: str = "raise",
        max_skipped: int = 10,
    ) -> None:
        if on_nonfinite not in ("raise", "skip"):
            raise ConfigError(
                f'optim_wrapper.on_nonfinite: expected "raise" or "skip", found {on_nonfinite!r}.'
            )
        clip_grad = dict(clip_grad or {})
        if "error_if_nonfinite" in clip_grad:
            raise ConfigError(
                "optim_wrapper.clip_grad.error_if_nonfinite: remove the key; what happens to a "
                'non-finite step is said by optim_wrapper.on_nonfinite ("raise" or "skip").'
            )
        kind = clip_grad.get("type", "norm")
        known = ("clip_value",) if kind == "value" else ("max_norm", "norm_type")
        reject_unknown("optim_wrapper.clip_grad", clip_grad, ("type", "foreach", *known))
        if clip_grad and known[0] not in clip_grad:
            raise ConfigError(
                f"optim_wrapper.clip_grad: {known[0]} is missing, and nothing would be clipped. "
                "Give it, or clip_grad=None."
            )
        super().__init__(optimizer, accumulative_counts, clip_grad or None)
        self.dtype = autocast_dtype(dtype)
        self.on_nonfinite = on_nonfinite
        self.max_skipped = max_skipped
        self.skipped_steps = 0
        self._skipped_in_a_row = 0
        self._global_step = 0  # the first scheduler sets it to -1, and counts steps from there
        self._loss: torch.Tensor | None = None  # sum over the accumulation window
        self._pending: Verdict | None = None  # of the last step, until it is read
        self._error: NonFiniteError | None = None
        self.last_count = 0
        if isinstance(self.message_hub, LateMessageHub):
            self.message_hub.ask_first = self._learn
        # A number stays what it is; GradScaler would let it grow.
        self._constant_scale = None if isinstance(loss_scale, (str, dict)) else loss_scale
        autocast_context(self.device_type, self.dtype)  # float16 on a CPU fails here, not later
        is_float16 = self.dtype is torch.float16
        if loss_scale is not None and not is_float16:
            raise ConfigError("optim_wrapper.loss_scale: only float16 has one. Remove the key.")
        options = {"enabled": is_float16, **_scaler_options(loss_scale)}
        self.scaler = torch.amp.GradScaler(self.device_type, **options)

    @property
    def device_type(self) -> str:
        """Type of the device that the parameters compute on."""
        return device_of(self.optimizer.param_groups[0]["params"][0]).type

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enters autocast, and holds back gradient synchronisation while accumulating."""
        if isinstance(model, FSDPModule):  # it has no context for this, but a switch
            model.set_requires_gradient_sync(self.should_sync())
        with super().optim_context(model), autocast_context(self.device_type, self.dtype):
            yield

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Adds the gradients of a loss, scaled if they are float16."""
        # Schedulers count iterations, and warn if the first is no step: accumulated, or skipped.
        self._global_step = max(0, self._global_step)
        detached = loss.detach().clone()
        self._loss = detached if self._loss is None else self._loss + detached
        super().backward(self.scaler.scale(loss), **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Clips the gradients and updates the parameters, if loss and gradients are finite.

        A fused optimizer, the default on a GPU, learns that on the device, and nobody waits: what
        this step does not take is known when the next one begins; see :meth:`settle`.

        Raises:
            NonFiniteError: If they are not, and such steps are not to be skipped or too many were;
                or if float16 gradients overflow at every loss scale. Nothing has been updated then.
        """
        self.settle()
        self.scaler.unscale_(self.optimizer)
        params = [
            param
            for group in self.optimizer.param_groups
            for param in group["params"]
            if param.grad is not None
        ]
        norm_type = (self.clip_grad_kwargs or {}).get("norm_type", 2.0)
        norm = whole(get_total_norm([param.grad for param in params], norm_type))
        loss, self._loss = self._loss, None
        loss = torch.zeros_like(norm) if loss is None else loss.to(norm.dtype)
        norm = norm.to(loss.device)  # from the host, if gradients are offloaded
        all_reduce(loss)  # a loss that is infinite on one rank must stop or skip them all
        scale = self.scaler.scale(torch.ones_like(norm))
        self._pending = Verdict(torch.stack([norm, loss, scale]), self._inner_count)
        found = (~(norm + 0 * loss).isfinite()).float()
        if skips_on_device(self.optimizer, found):
            self._clip(params, norm)
            with skipping_if(self.optimizer, found):
                self.optimizer.step(**kwargs)
        elif self.settle():
            self._clip(params, norm)
            self.optimizer.step(**kwargs)
        self.scaler.update(self._constant_scale)

    def _clip(self, params: list[torch.Tensor], norm: torch.Tensor) -> None:
        options = {k: v for k, v in (self.clip_grad_kwargs or {}).items() if k != "norm_type"}
        if "max_norm" in options:
            clip_grads_with_norm_(params, total_norm=norm, **options)
        elif "clip_value" in options:
            clip_grad_value_(params, **options)

    def settle(self) -> bool:
        """Reads whether the last step was taken, if that is not known yet; returns it.

        Raises:
            NonFiniteError: See :meth:`step`.
        """
        is_taken = self._learn()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return is_taken

    def _learn(self) -> bool:
        """Reads it, and keeps what is to be raised: where a log is written not all ranks are."""
        if self._pending is None:
            return True
        pending, self._pending = self._pending, None
        norm, loss, scale = pending.read()
        if self.scaler.is_enabled():
            self.message_hub.update_scalar("train/grad_scale", scale)
        self.last_count = pending.count
        if math.isfinite(norm + 0 * loss):
            self._skipped_in_a_row = 0
            self.message_hub.update_scalar("train/grad_norm", norm)
        else:
            self._error = self._count_skipped(norm, loss)
        if self.scaler.is_enabled() and scale < _MIN_LOSS_SCALE:
            self._error = NonFiniteError(
                f"The float16 gradients overflow even at a loss scale of {scale:.2g}: the training "
                'has diverged. Lower the learning rate, or use optim_wrapper.dtype="bfloat16".'
            )
        return math.isfinite(norm + 0 * loss)

    def _count_skipped(self, norm: float, loss: float) -> NonFiniteError | None:
        """Counts a step that was not taken; returns what is to be said if it must not be."""
        overflow = self.scaler.is_enabled() and math.isfinite(loss)
        self.skipped_steps += 1
        self._skipped_in_a_row += 1
        too_many = not overflow and self._skipped_in_a_row > self.max_skipped
        if not too_many and (self.on_nonfinite == "skip" or overflow):
            self.message_hub.update_scalar("train/skipped_steps", self.skipped_steps)
            return None
        if math.isfinite(loss):
            what = f"the gradients are not finite (norm {norm})"
        else:
            what = f"the loss, of all ranks and accumulated batches, is {loss}"
        row = f" This was step {self._skipped_in_a_row} in a row." if too_many else ""
        return NonFiniteError(
            f"{what}; the step was not taken.{row} Look at the batch, lower the learning rate, "
            'or skip and count such steps with optim_wrapper.on_nonfinite="skip".'
        )

    def state_dict(self) -> dict:
        """Returns the optimizer's state, with the scaler's under ``loss_scaler``.

        ``skipped`` is how many steps were, and how many of them in a row up to now.
        """
        self.settle()
        state = super().state_dict()
        state["skipped"] = (self.skipped_steps, self._skipped_in_a_row)
        if self.scaler.is_enabled():
            state["loss_scaler"] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Restores the optimizer and the scaler; either run may be without a scaler."""
        state_dict = dict(state_dict)
        scaler_state = state_dict.pop("loss_scaler", None)
        self.skipped_steps, self._skipped_in_a_row = state_dict.pop("skipped", (0, 0))
        if scaler_state is not None:  # which a scaler that is off leaves alone
            self.scaler.load_state_dict(scaler_state)
        super().load_state_dict(state_dict)


def _scaler_options(loss_scale: str | float | dict | None) -> dict[str, Any]:
    if loss_scale in (None, "dynamic"):
        return {}
    if isinstance(loss_scale, dict):
        return loss_scale
    if isinstance(loss_scale, (int, float)):
        return {"init_scale": float(loss_scale)}
    raise ConfigError(
        f'optim_wrapper.loss_scale: expected "dynamic", a number or a dict, found {loss_scale!r}.'
    )
