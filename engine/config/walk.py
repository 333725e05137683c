"""Finds everything in a config that a registry will build, and what it will be built from."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from mmengine import registry as root
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    TestLoop,
    ValLoop,
)
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader

from engine.config.keys import did_you_mean
from engine.errors import ConfigError
from engine.foreign import advice
from engine.registry import WRITERS

#: The packages of this project that registered names may be prefixed with.
SCOPES = ("pretrain", "seg", "pose")


class Node(NamedTuple):
    """A mapping of the config from which one object is built."""

    path: str
    cfg: dict
    registry: Registry | None
    target: Callable


class Parameters(NamedTuple):
    """The keyword arguments of a constructor, with their types; ``open`` if it takes any others."""

    named: Mapping[str, inspect.Parameter]
    open: bool

    @property
    def names(self) -> Collection[str]:
        """Their names."""
        return self.named.keys()


# Top-level key -> the registry of its `type`, and what MMEngine's Runner builds without one.
SECTIONS: dict[str, tuple[Registry | None, Callable | None]] = {
    "model": (root.MODELS, None),
    "data_preprocessor": (root.MODELS, None),
    "model_wrapper_cfg": (root.MODEL_WRAPPERS, None),
    "train_dataloader": (None, DataLoader),
    "val_dataloader": (None, DataLoader),
    "test_dataloader": (None, DataLoader),
    "val_evaluator": (root.METRICS, None),
    "test_evaluator": (root.METRICS, None),
    "optim_wrapper": (root.OPTIM_WRAPPERS, OptimWrapper),
    "param_scheduler": (root.PARAM_SCHEDULERS, None),
    "train_cfg": (root.LOOPS, None),
    "val_cfg": (root.LOOPS, ValLoop),
    "test_cfg": (root.LOOPS, TestLoop),
    "default_hooks": (root.HOOKS, None),
    "custom_hooks": (root.HOOKS, None),
    "visualizer": (root.VISUALIZERS, Visualizer),
    "log_processor": (root.LOG_PROCESSORS, LogProcessor),
    "writer": (WRITERS, None),
}

# Registry of a mapping -> the registry of what lies under its keys; "*" stands for every other key.
CHILDREN: dict[Registry | None, dict[str, Registry]] = {
    None: {
        "dataset": root.DATASETS,
        "sampler": root.DATA_SAMPLERS,
        "batch_sampler": root.DATA_SAMPLERS,
        "collate_fn": root.FUNCTIONS,
        "worker_init_fn": root.FUNCTIONS,
    },
    root.DATASETS: {
        "dataset": root.DATASETS,
        "datasets": root.DATASETS,
        "pipeline": root.TRANSFORMS,
    },
    root.TRANSFORMS: {"*": root.TRANSFORMS},
    root.MODELS: {"init_cfg": root.WEIGHT_INITIALIZERS, "*": root.MODELS},
    root.OPTIM_WRAPPERS: {"optimizer": root.OPTIMIZERS},
    root.VISUALIZERS: {"vis_backends": root.VISBACKENDS},
    root.EVALUATOR: {"metrics": root.METRICS},
}


def typed_nodes(cfg: Config) -> list[Node]:
    """Lists what will be built from the config, outermost first.

    Raises:
        ConfigError: If a ``type`` is in no registry that the builder will look into.
    """
    errors: list[str] = []
    nodes = find_nodes(cfg, errors)
    if errors:
        raise ConfigError(*errors)
    return nodes


def find_nodes(cfg: Config | dict, errors: list[str]) -> list[Node]:
    """Lists what can be built from the config; what is wrong with the rest goes to ``errors``."""
    walker = _Walker(cfg.get("default_scope"), errors)
    nodes: list[Node] = []
    for key, (registry, default) in SECTIONS.items():
        section: Any = cfg.get(key)
        is_dict = isinstance(section, dict)
        if key == "train_cfg" and is_dict:  # without either, MMEngine counts iterations
            loops = {True: EpochBasedTrainLoop, False: IterBasedTrainLoop}
            default = loops.get(section.get("by_epoch"))
        if key.endswith("_evaluator") and is_dict and "metrics" in section:
            registry, default = root.EVALUATOR, Evaluator
        nodes.extend(walker.walk(section, key, registry, default, key == "default_hooks"))
    return nodes


class _Walker(NamedTuple):
    scope: str | None
    errors: list[str]

    def walk(
        self,
        node: Any,
        path: str,
        registry: Registry | None,
        default: Callable | None = None,
        may_be_plain: bool = False,
    ) -> Iterator[Node]:
        """Yields what will be built from a value and from what it holds."""
        if isinstance(node, (list, tuple)):
            may_be_plain = may_be_plain and registry is root.MODELS
            for index, item in enumerate(node):
                yield from self.walk(item, f"{path}[{index}]", registry, default, may_be_plain)
        if not isinstance(node, dict):
            return
        children = CHILDREN.get(registry, {})
        if registry is not None and "type" in node:
            try:
                target = _resolve(registry, node["type"], f"{path}.type", self.scope)
            except ConfigError as error:
                self.errors.append(str(error))
            else:
                yield Node(path, node, registry, target)
        elif default is not None:
            yield Node(path, node, registry, default)
        elif registry is not None and may_be_plain:  # a grouping, such as default_hooks
            children = {"*": registry, **children}
        elif registry is not None:
            self.errors.append(f"{path}: it gives no type, the name of a {registry.name}.")
        for key, child in node.items():
            # `norm_cfg`, `test_cfg`, ... are the private vocabulary of the module that reads them.
            below = children.get(key) or (None if key.endswith("_cfg") else children.get("*"))
            if below is not None:
                plain = key not in children
                yield from self.walk(child, f"{path}.{key}", below, may_be_plain=plain)


def _resolve(registry: Registry, name: Any, where: str, scope: str | None) -> Callable:
    if callable(name):
        return name
    if not isinstance(name, str):
        raise ConfigError(f"{where}: expected a registered name, found {name!r}.")
    prefix = name.split(".")[0]
    if prefix != name and prefix in SCOPES:
        importlib.import_module(prefix)  # the registry would swallow the reason of a failure
    home = registry.children.get(scope, registry)
    try:
        target = home.get(name)
    except RuntimeError:  # how the registry says that the name is no import path either
        target = None
    if not callable(target):
        raise ConfigError(
            f'{where}: "{name}" is not registered in {home.scope}::{home.name}.'
            f"{_suggestion(home, name)}"
        )
    return target


def _suggestion(home: Registry, name: str) -> str:
    bare = name.rpartition(".")[2]
    if advice(bare):
        return advice(bare)
    known = {*home.module_dict, *home.root.module_dict}
    for child in home.root.children.values():
        if bare in child.module_dict:
            return f' Did you mean "{child.scope}.{bare}"?'
        known.update(f"{child.scope}.{other}" for other in child.module_dict)
    hint = did_you_mean(name, known)
    return hint or " Is the module that registers it imported (custom_imports)?"


@cache
def parameters(target: Callable) -> Parameters:
    """Returns the keyword arguments that building ``target`` accepts.

    ``**kwargs`` are followed to the parent classes, where they go; only if none of them ends the
    list of names may there be others.
    """
    owners = target.__mro__ if inspect.isclass(target) else (target,)
    named: dict[str, inspect.Parameter] = {}
    is_open = False
    for owner in owners:
        init = vars(owner).get("__init__") if inspect.isclass(owner) else owner
        if owner is object or init is None:
            continue
        found = _resolved(init)
        kinds = {parameter.kind for parameter in found}
        variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        named = {p.name: p for p in found if p.kind not in variable and p.name != "self"} | named
        is_open = inspect.Parameter.VAR_KEYWORD in kinds
        if not is_open:
            break
    return Parameters(named, is_open)


def _resolved(init: Callable) -> list[inspect.Parameter]:
    """Returns the parameters of a function, with types for their annotations, or ``Any``."""
    found = inspect.signature(init).parameters.values()
    return [p.replace(annotation=_type(p.annotation, init)) for p in found]


def _type(annotation: Any, init: Callable) -> Any:
    if not isinstance(annotation, str):
        return Any if annotation is inspect.Parameter.empty else annotation
    try:  # as typing.get_type_hints does, which gives all up for one name that it does not know
        return eval(annotation, getattr(init, "__globals__", {}))
    except Exception:
        return Any
