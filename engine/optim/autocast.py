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

from engine.checkpoint.values import is_finite
from engine.config.keys import reject_unknown
from engine.errors import ConfigError, NonFiniteError
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

        Raises:
            NonFiniteError: If they are not, and such steps are not to be skipped or too many were;
                or if float16 gradients overflow at every loss scale. Nothing has been updated then.
        """
        self.scaler.unscale_(self.optimizer)
        if self._clip_grad():
            self.optimizer.step(**kwargs)
            self._skipped_in_a_row = 0
        self._loss = None
        self.scaler.update(self._constant_scale)

    def _clip_grad(self) -> bool:
        """Clips; returns whether gradients and loss are finite, which one number tells.

        The number is the norm of all gradients plus 0 times the loss, of all ranks. It is read
        together with the loss scale: only there a step waits for the device.
        """
        params = [
            param
            for group in self.optimizer.param_groups
            for param in group["params"]
            if param.grad is not None
        ]
        kwargs = dict(self.clip_grad_kwargs or {})
        norm_type = kwargs.pop("norm_type", 2.0)
        norm = whole(get_total_norm([param.grad for param in params], norm_type))
        if self._loss is not None:
            norm = norm.to(self._loss.device)  # from the host, if gradients are offloaded
            all_reduce(self._loss)  # a loss that is infinite on one rank must stop or skip them all
        checked = norm if self._loss is None else norm + 0 * self._loss
        value, scale = torch.stack([checked, self.scaler.scale(torch.ones_like(norm))]).tolist()
        if self.scaler.is_enabled():
            self._check_loss_scale(scale)
        if not math.isfinite(value):
            self._on_nonfinite(float(norm))
            return False
        if "max_norm" in kwargs:
            clip_grads_with_norm_(params, total_norm=norm, **kwargs)
        elif "clip_value" in kwargs:
            clip_grad_value_(params, **kwargs)
        self.message_hub.update_scalar("train/grad_norm", value)
        return True

    def _on_nonfinite(self, norm: float) -> None:
        loss = 0.0 if self._loss is None else float(self._loss)
        self._loss = None
        overflow = self.scaler.is_enabled() and math.isfinite(loss)
        self.skipped_steps += 1
        self._skipped_in_a_row += 1
        too_many = not overflow and self._skipped_in_a_row > self.max_skipped
        if too_many or (self.on_nonfinite == "raise" and not overflow):
            if math.isfinite(loss):
                what = f"the gradients are not finite (norm {norm}), {self._describe_nonfinite()}"
            else:
                what = f"the loss, of all ranks and accumulated batches, is {loss}"
            row = f" This was step {self._skipped_in_a_row} in a row." if too_many else ""
            raise NonFiniteError(
                f"{what}; the step was not taken.{row} Look at the batch, lower the learning rate, "
                'or skip and count such steps with optim_wrapper.on_nonfinite="skip".'
            )
        self.message_hub.update_scalar("train/skipped_steps", self.skipped_steps)

    def _describe_nonfinite(self) -> str:
        groups = self.optimizer.param_groups
        params = [(i, j, p) for i, g in enumerate(groups) for j, p in enumerate(g["params"])]
        bad = [(i, j) for i, j, p in params if p.grad is not None and not is_finite(whole(p.grad))]
        if not bad:
            return "though each entry is: the norm overflows"
        group, index = bad[0]
        names = groups[group].get("param_names")
        first = names[index] if names else f"parameter {index} of group {group}"
        return f"in {len(bad)} of {len(params)} tensors, the first being {first}"

    def _check_loss_scale(self, scale: float) -> None:
        self.message_hub.update_scalar("train/grad_scale", scale)
        if scale < _MIN_LOSS_SCALE:
            raise NonFiniteError(
                f"The float16 gradients overflow even at a loss scale of {scale:.2g}: the training "
                'has diverged. Lower the learning rate, or use optim_wrapper.dtype="bfloat16".'
            )

    def state_dict(self) -> dict:
        """Returns the optimizer's state, with the scaler's under ``loss_scaler``.

        ``skipped`` is how many steps were, and how many of them in a row up to now.
        """
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
