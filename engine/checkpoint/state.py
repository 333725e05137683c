"""The state of a training in a checkpoint, of which a run takes over what fits it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from reprlib import repr as shorten
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from torch import Tensor

from engine.checkpoint.match import check_complete, compare, tensors_of
from engine.checkpoint.meta import meta_of
from engine.checkpoint.values import FLOATS, check_finite, check_kinds, is_finite
from engine.errors import WeightsError
from engine.parallel.shards import local

_LIMITS = {"epoch": math.inf, "iter": math.inf, "seed": 2**32}
_SET_BY_THE_RUN = frozenset(
    ("cfg", "seed", "experiment_name", "mmengine_version", "loop_stage", "dataset_meta", "epoch")
) | {"iter", "max_epochs", "max_iters", "last_ckpt", "eta"}
# Which parameters a group has; and how an optimizer computes, not what.
NO_SETTINGS = {"params", "param_names", "group_name"}
NO_SETTINGS |= {"foreach", "fused", "capturable", "differentiable"}
_OF_ONE_NUMBER = ("step", "eta", "mu", "mu_product")  # states of torch.optim
_NOT_NEGATIVE = ("step", "exp_avg_sq", "max_exp_avg_sq", "square_avg")  # roots are taken of these
_OF_OTHER_SHAPES = ("Adafactor", "LBFGS")


def training_state(checkpoint: Mapping[str, Any], source: str, runner: Any) -> dict[str, Any]:
    """Returns a checkpoint as a run can go on from it.

    What the run says itself is left out.

    Args:
        checkpoint: From :func:`engine.checkpoint.read_checkpoint`.
        source: Its path.
        runner: The run, with its optimizer built.

    Raises:
        WeightsError: A part is missing, is not of the structure of the run's, or not finite.
    """
    wrapper = runner.optim_wrapper
    parts = ["meta", "state_dict", "optimizer", "message_hub"]
    if runner.param_schedulers is not None:
        parts.append("param_schedulers")
    if missing := [part for part in parts if checkpoint.get(part) is None]:
        raise WeightsError(
            f"{source} has no {', '.join(missing)}: it holds weights only, as best_*.pth and "
            "converted files do. Resume from an epoch_N.pth or iter_N.pth, or start from these "
            "weights with --load-from."
        )
    meta = {key: value for key, value in meta_of(checkpoint, source).items() if key != "config"}
    # Files of older versions do not say how long an epoch was.
    optional: dict[str, float] = {
        key: math.inf for key in ("epoch_iters", "batch_size") if key in meta
    }
    for key, limit in {**_LIMITS, **optional}.items():
        value: Any = meta.get(key)
        is_whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not is_whole or not 0 <= value < limit:
            raise _unlike(f"{source}: its meta[{key!r}]", value, "a whole number")
    if runner.param_schedulers is not None:
        _check_schedules(checkpoint["param_schedulers"], f"{source}: its param_schedulers")
    _check_average(checkpoint.get("ema_state_dict"), source, runner)
    return {
        **checkpoint,
        "meta": meta,
        "state_dict": tensors_of(checkpoint, source),
        "optimizer": _own_optimizer(checkpoint["optimizer"], wrapper, f"{source}: its optimizer"),
        "message_hub": _own_logs(checkpoint["message_hub"], source),
    }


def _own_logs(hub: Any, source: str) -> dict[str, dict]:
    """Returns the logs and what hooks keep, without what the run says itself."""
    where, kept = f"{source}: its message_hub", {}
    hub = _by_name(hub, where)
    scalars = _by_name(hub.get("log_scalars"), f"{where}['log_scalars']")
    for name, log in scalars.items():
        if not isinstance(log, HistoryBuffer) or not len(log.data[0]):
            raise _unlike(f"{where}: {name:.80}", log, "a log that is not empty")
    for name, value in _by_name(hub.get("runtime_info"), f"{where}['runtime_info']").items():
        if name.startswith("best_score") and not _is_number(value):
            raise _unlike(f"{where}: {name:.80}", value, "a number")
        if name not in _SET_BY_THE_RUN:
            kept[name] = value
    resumed = dict.fromkeys([*scalars, *kept], True)
    return {"log_scalars": scalars, "runtime_info": kept, "resumed_keys": resumed}


def _own_optimizer(saved: Any, wrapper: Any, where: str) -> dict[str, Any]:
    """Returns what the run's optimizer takes of the state."""
    saved, ours = _by_name(saved, where), wrapper.state_dict()
    own_group, groups = ours["param_groups"][0], saved.get("param_groups")
    if not isinstance(groups, list) or not groups:
        raise _unlike(f"{where}['param_groups']", groups, "a list of dicts")
    # Which groups there are may have changed, and whether a schedule notes what it began with.
    settings = {k: v for k, v in own_group.items() if k not in NO_SETTINGS and k[:8] != "initial_"}
    sections = {f"param_groups'][{i}": group for i, group in enumerate(groups)}
    if ours.get("base_param_settings") and "base_param_settings" in saved:
        sections["base_param_settings'"] = saved["base_param_settings"]
    for name, section in sections.items():
        section = _by_name(section, f"{where}['{name}]")
        for key, value in settings.items():
            is_switch = value is None or isinstance(value, bool)  # versions of torch add some
            if not (is_switch and key not in section) and not _is_like(section.get(key), value):
                raise _unlike(f"{where}['{name}][{key!r}]", section.get(key), f"such as {value}")
    _check_states(saved.get("state"), groups, wrapper.optimizer, where)
    if "skipped" in saved and not _is_like(saved["skipped"], (0, 0)):
        raise _unlike(f"{where}['skipped']", saved["skipped"], "two numbers")
    return {key: saved[key] for key in (*ours, "loss_scaler") if key in saved}


def _check_states(state: Any, groups: Sequence[dict], optimizer: Any, where: str) -> None:
    """Requires what is kept of each parameter to be of its shape, by name where there are names."""
    ids = [i for group in groups for i in _list_of(int, group.get("params"), where)]
    names = [n for group in groups for n in _list_of(str, group.get("param_names", []), where)]
    own = [p for group in optimizer.param_groups for p in group["params"]]
    own_names = [n for group in optimizer.param_groups for n in group.get("param_names", ())]
    if sorted(ids) != list(range(len(ids))) or len(names) not in (0, len(ids)):
        raise WeightsError(f"{where} does not say which parameters it is of.")
    if names and own_names:
        by_name = dict(zip(own_names, own, strict=True))
        params = {i: by_name[name] for i, name in zip(ids, names, strict=True) if name in by_name}
    elif len(ids) == len(own):
        params = dict(zip(ids, own, strict=True))
    else:
        raise WeightsError(f"{where} is of {len(ids)} parameters. The run has {len(own)}.")
    if not isinstance(state, Mapping) or not set(state) <= set(ids):
        raise _unlike(f"{where}['state']", state, "a dict by the ids of the parameters")
    kind = type(optimizer)
    if not kind.__module__.startswith("torch.optim") or kind.__name__ in _OF_OTHER_SHAPES:
        return
    if len({frozenset(_by_name(entry, f"{where}['state']")) for entry in state.values()}) > 1:
        raise WeightsError(f"{where}['state'] holds other things of one parameter than of others.")
    for i in params.keys() & state.keys():
        for key, value in state[i].items():
            shape = () if key in _OF_ONE_NUMBER else tuple(params[i].shape)
            is_number = shape == () and _is_number(value)
            if isinstance(value, Tensor):
                is_number = value.shape == shape and value.dtype in FLOATS and is_finite(value)
            if key in _NOT_NEGATIVE and is_number:
                is_number = bool((torch.as_tensor(local(value)) >= 0).all())
            if value is not None and not is_number:
                sign = ", not negative" if key in _NOT_NEGATIVE else ""
                expected = f"finite, of {shape}{sign}"
                raise _unlike(f"{where}['state'][{i}][{key!r}]", value, expected)
    found = {id(params[i]) for i in params.keys() & state.keys()}
    without = sum(param.requires_grad and id(param) not in found for param in own)
    if without:
        text = f"{where} has nothing of {without} of {len(own)} parameters: they start anew."
        print_log(text, "current", logging.WARNING)


def _check_schedules(saved: Any, where: str) -> None:
    """Requires each schedule to be at the step that its number of steps has brought it to."""
    if not isinstance(saved, list):
        raise _unlike(where, saved, "a list of dicts")
    for i, state in enumerate(saved):
        state = _by_name(state, f"{where}[{i}]")
        for key in ("base_values", "_last_value"):
            values = state.get(key, [])
            if not isinstance(values, list) or not all(map(_is_number, values)):
                raise _unlike(f"{where}[{i}][{key!r}]", values, "a list of numbers")
        items = [v for value in state.values() for v in (value if type(value) is list else [value])]
        if any(isinstance(item, Tensor | np.ndarray) for item in items):
            raise _unlike(f"{where}[{i}]", state, "numbers, texts and lists of them")
        for key in ("best", "num_bad_epochs", "cooldown_counter"):
            if not isinstance(state.get(key, 0), Real):
                raise _unlike(f"{where}[{i}][{key!r}]", state[key], "a number")
        counts: list[Any] = [state.get(k) for k in ("begin", "end", "_global_step", "last_step")]
        if any(type(count) is not int for count in counts):
            raise _unlike(f"{where}[{i}]", counts, "to count steps in whole numbers")
        begin, end, steps, place = counts
        follows_evaluations = "monitor" in state  # and counts those that are in its range alone
        if not follows_evaluations and place != max(min(steps, end - 1) - begin, -1):
            raise _unlike(f"{where}[{i}]['last_step']", place, f"what {steps} steps lead to")


def _check_average(saved: Any, source: str, runner: Any) -> None:
    """Of EMAHook, which takes what matches and says nothing of the rest."""
    averages = [hook.ema_model for hook in runner.hooks if hasattr(hook, "ema_model")]
    if saved is None:
        return
    if not averages:
        raise WeightsError(
            f"{source} was trained with an average of the weights: resume it with the EMAHook of "
            "its config, or start anew from the weights with --load-from."
        )
    where, ours = f"{source}: its ema_state_dict", averages[0].state_dict()
    if _by_name(saved, where).keys() != ours.keys():
        raise _unlike(where, saved, "the names of the model's average")
    theirs, ours = tensors_of({"state_dict": saved}, where), tensors_of(ours, where)
    check_complete(compare(ours, theirs, (), where), ())
    check_kinds(theirs, ours, where)
    check_finite(theirs, where)


def _by_name(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise _unlike(where, value, "values by name")
    return value


def _list_of(kind: type, value: Any, where: str) -> list:
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise _unlike(f"{where}: what says its parameters", value, f"a list of {kind.__name__}")
    return value


def _is_like(saved: Any, ours: Any) -> bool:
    """Whether there are as many finite numbers of the same sign, or the same text or switch."""
    if isinstance(ours, list | tuple):
        same = isinstance(saved, list | tuple) and len(saved) == len(ours)
        return same and all(map(_is_like, saved, ours))
    if ours is None or isinstance(ours, str | bool):
        return type(saved) is type(ours) and saved == ours
    return _is_number(saved) and bool(saved >= 0) >= bool(ours >= 0)


def _is_number(value: Any) -> bool:
    """Whether a value is one finite number."""
    if isinstance(value, Tensor):
        return value.numel() == 1 and value.dtype in FLOATS and is_finite(value)
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return bool(-1e300 < value < 1e300)  # type: ignore[operator]


def _unlike(where: str, found: Any, expected: str) -> WeightsError:
    return WeightsError(
        f"{where} is {shorten(found)}. Expected {expected}: resume with the config of the "
        "training, or start anew from the weights with --load-from."
    )
