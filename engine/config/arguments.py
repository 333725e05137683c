"""The arguments of what a config builds: they exist, are there, and have the type they should."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    HOOKS,
    LOOPS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    VISBACKENDS,
    VISUALIZERS,
    Registry,
)

from engine.config.expected import expected
from engine.config.keys import unknown_keys
from engine.config.values import describe, problems
from engine.config.walk import Node, parameters
from engine.errors import near_miss
from engine.registry import WRITERS

#: Keys that a builder takes out before the constructor sees them, by registry (None: data loader).
BUILDER_KEYS: dict[Registry | None, frozenset[str]] = {
    None: frozenset({"num_batch_per_epoch"}),
    HOOKS: frozenset({"priority"}),
    LOOPS: frozenset({"by_epoch"}),
    OPTIM_WRAPPERS: frozenset({"constructor", "paramwise_cfg"}),
    PARAM_SCHEDULERS: frozenset({"convert_to_iter_based", "epoch_length"}),
}

#: What a builder, or load_config, gives a constructor besides what the config says, by registry.
SUPPLIED: dict[Registry | None, frozenset[str]] = {
    None: frozenset({"dataset"}),
    DATA_SAMPLERS: frozenset({"dataset", "sampler", "batch_size", "seed"}),
    DATASETS: frozenset({"metainfo"}),
    LOOPS: frozenset({"runner", "dataloader", "evaluator"}),
    METRICS: frozenset({"metainfo"}),
    MODEL_WRAPPERS: frozenset({"module"}),
    OPTIMIZERS: frozenset({"params"}),
    PARAM_SCHEDULERS: frozenset({"optimizer", "param_name"}),
    VISBACKENDS: frozenset({"save_dir"}),
    VISUALIZERS: frozenset({"metainfo"}),
    WRITERS: frozenset({"dataset_meta", "metainfo"}),
}


def unknown_names(node: Node) -> list[str]:
    """Returns the keyword arguments that the constructor does not have.

    A constructor with ``**kwargs`` may use any; there only a near miss of a named one is an error
    (of a short name, one edit).
    """
    accepted = parameters(node.target)
    names = [name for name in node.cfg if name not in ("type", "_scope_", *_known(node))]
    if accepted.open:
        names = [name for name in names if near_miss(name, _known(node), 1 + (len(name) > 4))]
    return names


def _known(node: Node) -> set[str]:
    known = set(parameters(node.target).names)
    if node.registry is not LOOPS or "type" not in node.cfg:  # a loop has a type, or by_epoch
        known |= BUILDER_KEYS.get(node.registry, frozenset())
    return known


def unknown_arguments(nodes: Iterable[Node]) -> Iterator[str]:
    """Says which keyword arguments a constructor does not have."""
    for node in nodes:
        where = f"{node.path} ({getattr(node.target, '__name__', repr(node.target))})"
        yield from (f"{where}: {text}" for text in unknown_keys(unknown_names(node), _known(node)))


def missing_arguments(nodes: Iterable[Node]) -> Iterator[str]:
    """Says which arguments are missing that nothing but the config can give.

    What a part of a model gets from the whole is unknown here.
    """
    for node in nodes:
        if node.registry is FUNCTIONS or (node.registry is MODELS and node.path != "model"):
            continue
        given = {*node.cfg, *SUPPLIED.get(node.registry, ())}
        for name, parameter in parameters(node.target).named.items():
            if parameter.default is parameter.empty and name not in given:
                yield f"{node.path}: {name} is missing, {describe(parameter.annotation)}."


def unfit_arguments(nodes: Iterable[Node]) -> Iterator[str]:
    """Says which values are not of the type, or in the range, that an argument takes."""
    for node in nodes:
        named = parameters(node.target).named
        for name, value in node.cfg.items():
            hint, default = Any, ...
            if name in named:
                hint, default = named[name].annotation, named[name].default
            if value is not None or default is not None:
                place = f"{node.path}.{name}".lstrip(".")
                yield from problems(place, value, expected(node.target, name) or hint)
