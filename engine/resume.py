"""Going on where a checkpoint was saved, with the settings that the config gives now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.optim import OptimWrapper, _ParamScheduler

from engine.checkpoint.state import NO_SETTINGS
from engine.errors import ConfigError

_NEW_START = "or start anew from its weights with --load-from"
_VARIANTS = {"maximize", "decoupled_weight_decay"}  # not in all versions of torch
_PROGRESS = {"last_step", "_global_step", "_last_value"}  # of a schedule
_PROGRESS |= {"best", "num_bad_epochs", "cooldown_counter"}
_NO_SCHEDULE = {"optimizer", "base_values", "verbose", *_PROGRESS}


class Position(NamedTuple):
    """Where a training is.

    Attributes:
        epoch: Epochs that are behind it.
        iteration: Iterations that are behind it.
        evaluated: Whether the evaluation at the end of the last epoch is, too.
        moved: Whether iterations count anew, since an epoch has another number of them now.
    """

    epoch: int
    iteration: int
    evaluated: bool
    moved: bool


def position_of(meta: Mapping[str, Any], epoch_iters: int, batch_size: int) -> Position:
    """Says where a training goes on.

    At the end of an epoch the batch size, the number of processes and the data may change:
    iterations then count as though they had always been what they are now.

    Args:
        meta: The checkpoint's.
        epoch_iters: Iterations of an epoch now.
        batch_size: Samples of an iteration now, of all processes.

    Raises:
        ConfigError: They differ in the middle of an epoch.
    """
    epoch, iteration = meta["epoch"], meta["iter"]
    # Older files do not say theirs.
    then = (meta.get("epoch_iters", epoch_iters), meta.get("batch_size", batch_size))
    done = iteration - epoch * then[0]
    if not 0 <= done <= then[0] or (done not in (0, then[0]) and then != (epoch_iters, batch_size)):
        raise ConfigError(
            f"The checkpoint is at epoch {epoch}, iteration {iteration}, which does not fit "
            f"{epoch_iters} batches an epoch, of {batch_size} samples: it was saved after {done} "
            f"of {then[0]}, of {then[1]} samples. Resume with the batch size, the number of "
            f"processes and the data that it was trained with, {_NEW_START}."
        )
    if done in (0, then[0]):
        done = epoch_iters if done else 0
    now = epoch * epoch_iters + done
    return Position(epoch, now, bool(meta.get("evaluated")), moved=now != iteration)


def restore(
    wrapper: OptimWrapper,
    schedulers: Sequence[_ParamScheduler],
    checkpoint: Mapping[str, Any],
    position: Position,
    epoch_iters: int,
) -> list[str]:
    """Restores what the optimizer has learnt, and takes its schedules to where the training is.

    Settings are those of the config. If all are as they were, so are the scheduled values; else the
    schedules go through all steps so far as the config has them now.

    Args:
        wrapper: Built from the config.
        schedulers: Likewise.
        checkpoint: With ``optimizer`` and ``param_schedulers``.
        position: Where the training is.
        epoch_iters: Iterations of an epoch.

    Returns:
        Which settings differ.

    Raises:
        ConfigError: The states of the two optimizers do not fit each other, or a setting differs
            and one of the schedules follows from evaluations.
    """
    saved, states = checkpoint["optimizer"], checkpoint.get("param_schedulers", ())
    groups, base = wrapper.optimizer.state_dict()["param_groups"], wrapper.base_param_settings
    pairs = list(zip(groups, _groups_of(groups, saved["param_groups"]), strict=True))
    if base is not None and saved.get("base_param_settings") is not None:
        pairs.append((base, saved["base_param_settings"]))
    changes = [*_changed_settings(pairs, len(groups)), *_changed_schedules(schedulers, states)]
    unchanged = not changes and not position.moved
    if unchanged:
        for own, theirs in pairs:
            own.update({key: theirs[key] for key in _scheduled(own)})
        for scheduler, state in zip(schedulers, states, strict=True):
            vars(scheduler).update({key: state[key] for key in _PROGRESS & state.keys()})
    own_state = {"state": _state_of(groups, saved), "param_groups": groups}
    wrapper.load_state_dict({**saved, **own_state, "base_param_settings": base})
    if not unchanged:
        _go_through(wrapper, schedulers, position, epoch_iters, changes)
    return changes


def _go_through(
    wrapper: OptimWrapper,
    schedulers: Sequence[_ParamScheduler],
    position: Position,
    epoch_iters: int,
    changes: Sequence[str],
) -> None:
    """Takes schedules from their begin to where the training is, in the order of its steps."""
    if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
        raise ConfigError(
            f"{'; '.join(changes) or 'The number of iterations'} changed, but where a schedule "
            "stands that follows from evaluations is known only for the old settings. "
            f"Resume with these, {_NEW_START}."
        )
    for group in wrapper.param_groups:
        group.update({key: group[f"initial_{key}"] for key in _scheduled(group)})
    wrapper._global_step = 0  # else each warns that no step was taken yet
    for scheduler in schedulers:
        scheduler.last_step = scheduler._global_step = -1
        scheduler.step()
    for iteration in range(1, position.iteration + 1):
        ends_epoch = iteration % epoch_iters == 0 and iteration // epoch_iters <= position.epoch
        for by_epoch in (False, True) if ends_epoch else (False,):
            for scheduler in schedulers:
                if scheduler.by_epoch == by_epoch:
                    scheduler.step()


def _names(groups: Sequence[dict]) -> dict[str, int] | None:
    """Names of parameters -> ids in the state; None if a group does not say them."""
    if not all("param_names" in group for group in groups):
        return None
    names = [name for group in groups for name in group["param_names"]]
    return dict(zip(names, [i for group in groups for i in group["params"]], strict=True))


def _groups_of(own: Sequence[dict], theirs: Sequence[dict]) -> list[dict]:
    """Returns, for each of our groups, that of theirs which has its first parameter."""
    kinds = [
        {key for group in groups for key in group if _is_kind(key)} for groups in (own, theirs)
    ]
    if kinds[0] != kinds[1]:
        raise ConfigError(
            f"optim_wrapper.optimizer has the settings {', '.join(sorted(kinds[0]))}, that of the "
            f"checkpoint {', '.join(sorted(kinds[1]))}: they are of different types. Resume with "
            f"the optimizer that it was trained with, {_NEW_START}."
        )
    ids = _names(own), _names(theirs)
    if ids[0] is not None and ids[1] is not None:
        holder = {name: group for group in theirs for name in group["param_names"]}
        unknown = sorted(ids[0].keys() - ids[1].keys())
        if unknown:
            raise ConfigError(
                f"The checkpoint has no optimizer state of {len(unknown)} parameters that learn "
                f"now, such as {unknown[0]}. Resume with the layers frozen that were, {_NEW_START}."
            )
        return [holder[group["param_names"][0]] for group in own]
    if [len(group["params"]) for group in own] != [len(group["params"]) for group in theirs]:
        raise ConfigError(
            f"The optimizer has {len(own)} groups of parameters, the checkpoint's {len(theirs)}, "
            "or others, without names to match them by. Resume with the "
            f"optim_wrapper.paramwise_cfg that it was trained with, {_NEW_START}."
        )
    return list(theirs)


def _state_of(own: Sequence[dict], saved: dict[str, Any]) -> dict[int, Any]:
    ids = _names(own), _names(saved["param_groups"])
    if ids[0] is None or ids[1] is None:
        return saved["state"]
    found = ((i, ids[1][name]) for name, i in ids[0].items())
    return {i: saved["state"][theirs] for i, theirs in found if theirs in saved["state"]}


def _is_kind(key: str) -> bool:
    return key not in NO_SETTINGS | _VARIANTS and not key.startswith("initial_")


def _scheduled(group: Mapping[str, Any]) -> list[str]:
    return [key.removeprefix("initial_") for key in group if key.startswith("initial_")]


def _changed_settings(pairs: Sequence[tuple[dict, dict]], num_groups: int) -> list[str]:
    """Says each setting that differs once, and in how many of the groups, the first pairs."""
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for index, (own, their) in enumerate(pairs):
        for key, value in own.items():
            name = key.removeprefix("initial_")
            before = their.get(key, their.get(name))
            if key in NO_SETTINGS or f"initial_{key}" in own or _equal(value, before):
                continue
            found[name] = f"{before} -> {value}"
            counts[name] += index < num_groups
    return [
        f"optimizer {name}: {change}"
        + (f" and others, in {counts[name]} groups" if counts[name] > 1 else "")
        for name, change in found.items()
    ]


def _changed_schedules(
    schedulers: Sequence[_ParamScheduler], saved: Sequence[dict[str, Any]]
) -> list[str]:
    if len(schedulers) != len(saved):
        return [f"param_scheduler: {len(saved)} schedules -> {len(schedulers)}"]
    return [
        f"param_scheduler[{i}] {key}: {state.get(key)} -> {getattr(scheduler, key, None)}"
        for i, (scheduler, state) in enumerate(zip(schedulers, saved, strict=True))
        for key in sorted((vars(scheduler).keys() | state.keys()) - _NO_SCHEDULE)
        if not _equal(getattr(scheduler, key, None), state.get(key))
    ]


def _equal(a: Any, b: Any) -> bool:
    lists = isinstance(a, list | tuple) and isinstance(b, list | tuple)
    return list(a) == list(b) if lists else a == b
