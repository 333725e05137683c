"""Training in mixed precision on any device, in which no non-finite gradient becomes a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from engine.config.keys import did_you_mean, reject_unknown
from engine.errors import ConfigError

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": None}

# fairseq gives up at this scale too: the gradients overflow whatever they are scaled by.
_MIN_LOSS_SCALE = 1e-4


def autocast_dtype(name: str | torch.dtype | None) -> torch.dtype | None:
    """Returns the type that matrix products are cast to, or None for plain float32.

    Args:
        name: ``"bfloat16"``, ``"float16"``, ``"float32"``, the torch.dtype itself, or None
            (float32).

    Raises:
        ConfigError: For anything else.
    """
    key = "float32" if name is None else str(name).removeprefix("torch.")
    if key not in _DTYPES:
        raise ConfigError(
            f'dtype: expected one of {", ".join(_DTYPES)}, found "{name}".'
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


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the model under autocast, and steps the float32 parameters.

    Accumulation is MMEngine's. Clipping is too, but a non-finite gradient never reaches the
    parameters: the step raises, or is skipped and counted (``skipped_steps``, and the scalar
    ``train/skipped_steps``) if ``clip_grad`` says ``error_if_nonfinite=False``. With float16 an
    overflow is expected now and then: the scaler skips the step and lowers its scale.

    Args:
        optimizer: Of parameters that are already on their device.
        dtype: ``"bfloat16"``, ``"float16"`` (GPU only) or ``"float32"`` (plain training).
        loss_scale: float16 only: ``"dynamic"`` (the default), a constant, or the keyword arguments
            of torch.amp.GradScaler.
        accumulative_counts: Iterations whose gradients are averaged into one step.
        clip_grad: ``dict(max_norm=..., norm_type=2)``, or ``dict(type="value", clip_value=...)``.

    Raises:
        ConfigError: For float16 on a CPU, ``loss_scale`` without float16, or
            ``error_if_nonfinite=True`` with float16.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        dtype: str | torch.dtype | None = "bfloat16",
        loss_scale: str | float | dict | None = None,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
    ) -> None:
        clip_grad = dict(clip_grad or {})
        kind = clip_grad.get("type", "norm")
        known = ("clip_value",) if kind == "value" else ("max_norm", "norm_type")
        reject_unknown(
            "optim_wrapper.clip_grad", clip_grad, ("type", "error_if_nonfinite", "foreach", *known)
        )
        error_if_nonfinite = clip_grad.pop("error_if_nonfinite", None)
        super().__init__(optimizer, accumulative_counts, clip_grad or None)
        self.dtype = autocast_dtype(dtype)
        self.skipped_steps = 0
        # A number stays what it is; GradScaler would let it grow.
        self._constant_scale = None if isinstance(loss_scale, (str, dict)) else loss_scale
        autocast_context(self.device_type, self.dtype)  # float16 on a CPU fails here, not later
        if self.dtype is torch.float16:
            if error_if_nonfinite:
                raise ConfigError(
                    "optim_wrapper.clip_grad.error_if_nonfinite: with float16 an overflow is part "
                    "of the search for a loss scale, and its step is skipped. Remove the key."
                )
            self.scaler: torch.amp.GradScaler | None = _scaler(self.device_type, loss_scale)
        else:
            if loss_scale is not None:
                raise ConfigError("optim_wrapper.loss_scale: only float16 has one. Remove the key.")
            self.scaler = None
        self.error_if_nonfinite = self.scaler is None and error_if_nonfinite is not False

    @property
    def device_type(self) -> str:
        """Type of the device that the parameters are on."""
        return self.optimizer.param_groups[0]["params"][0].device.type

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enters autocast, and holds back gradient synchronisation while accumulating."""
        with super().optim_context(model), autocast_context(self.device_type, self.dtype):
            yield

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Adds the gradients of a loss, scaled if there is a scaler."""
        super().backward(loss if self.scaler is None else self.scaler.scale(loss), **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Clips the gradients and updates the parameters, if the gradients are finite.

        Raises:
            FloatingPointError: If they are not, and such steps are not to be skipped; or if
                float16 gradients overflow at every loss scale. Nothing has been updated then.
        """
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self._clip_grad():
            self.optimizer.step(**kwargs)
        if self.scaler is not None:
            self.scaler.update(self._constant_scale)
            self._check_loss_scale(self.scaler.get_scale())

    def _clip_grad(self) -> bool:
        """Clips; returns whether the gradients are finite, which one norm of all of them tells."""
        params = [
            param
            for group in self.optimizer.param_groups
            for param in group["params"]
            if param.grad is not None
        ]
        kwargs = dict(self.clip_grad_kwargs or {})
        norm_type = kwargs.pop("norm_type", 2.0)
        norm = get_total_norm([param.grad for param in params], norm_type)
        if not norm.isfinite():
            self._on_nonfinite(float(norm))
            return False
        if "max_norm" in kwargs:
            clip_grads_with_norm_(params, total_norm=norm, **kwargs)
        elif "clip_value" in kwargs:
            clip_grad_value_(params, **kwargs)
        self.message_hub.update_scalar("train/grad_norm", float(norm))
        return True

    def _on_nonfinite(self, norm: float) -> None:
        if self.error_if_nonfinite:
            raise FloatingPointError(
                f"The gradients are not finite (norm {norm}), {self._describe_nonfinite()}. The "
                "step was not taken. Look at the batch and the loss, or lower the learning rate; "
                "optim_wrapper.clip_grad.error_if_nonfinite=False skips and counts such steps."
            )
        self.skipped_steps += 1
        self.message_hub.update_scalar("train/skipped_steps", self.skipped_steps)

    def _describe_nonfinite(self) -> str:
        groups = self.optimizer.param_groups
        params = [(i, j, p) for i, g in enumerate(groups) for j, p in enumerate(g["params"])]
        bad = [(i, j) for i, j, p in params if p.grad is not None and not p.grad.isfinite().all()]
        if not bad:
            return "though each entry is: the norm overflows"
        group, index = bad[0]
        names = groups[group].get("param_names")
        first = names[index] if names else f"parameter {index} of group {group}"
        return f"in {len(bad)} of {len(params)} tensors, the first being {first}"

    def _check_loss_scale(self, scale: float) -> None:
        self.message_hub.update_scalar("train/grad_scale", scale)
        if scale < _MIN_LOSS_SCALE:
            raise FloatingPointError(
                f"The float16 gradients overflow even at a loss scale of {scale:.2g}: the training "
                'has diverged. Lower the learning rate, or use optim_wrapper.dtype="bfloat16".'
            )

    def state_dict(self) -> dict:
        """Returns the optimizer's state, with the scaler's under ``loss_scaler``."""
        state = super().state_dict()
        if self.scaler is not None:
            state["loss_scaler"] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Restores the optimizer and the scaler; either run may be without a scaler."""
        state_dict = dict(state_dict)
        scaler_state = state_dict.pop("loss_scaler", None)
        if self.scaler is not None and scaler_state is not None:
            self.scaler.load_state_dict(scaler_state)
        super().load_state_dict(state_dict)


def _scaler(device_type: str, loss_scale: str | float | dict | None) -> torch.amp.GradScaler:
    if loss_scale in (None, "dynamic"):
        return torch.amp.GradScaler(device_type)
    if isinstance(loss_scale, dict):
        return torch.amp.GradScaler(device_type, **loss_scale)
    if isinstance(loss_scale, (int, float)):
        return torch.amp.GradScaler(device_type, init_scale=float(loss_scale))
    raise ConfigError(
        f'optim_wrapper.loss_scale: expected "dynamic", a number or a dict, found {loss_scale!r}.'
    )
