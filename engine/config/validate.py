"""The checks that a config must pass; each says what is wrong, where, and how to mend it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, TRANSFORMS
from mmengine.runner import Runner

from engine.config.derive import describe
from engine.config.expected import PARAMWISE
from engine.config.keys import did_you_mean, unknown_keys
from engine.config.values import problems
from engine.config.walk import Node
from engine.errors import near_miss
from engine.foreign import advice

#: Top-level keys that something reads: the Runner's parameters, what it looks up in the config
#: besides, and ours. Any other name is a variable of the config file.
KNOWN_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"} | {
    "activation_checkpointing",
    "adapter",
    "compile",
    "custom_imports",
    "efficient_conv_bn_eval",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "runner_type",
    "sharding",
    "sync_bn",
    "allow_missing",
    "input_size_hw",
    "writer",
}

#: Customary names of variables which happen to be near a known key (``model``, ``test_cfg``, ...).
VARIABLES = frozenset({"bn_cfg", "codec", "dist_cfg", "vis_cfg"})

DEFAULT_HOOKS = frozenset(
    {"runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint"}
)

#: What MMEngine's DefaultOptimWrapperConstructor reads in paramwise_cfg.
DEFAULT_PARAMWISE_KEYS = frozenset(
    {
        "custom_keys",
        "bias_lr_mult",
        "bias_decay_mult",
        "norm_decay_mult",
        "dwconv_decay_mult",
        "flat_decay_mult",
        "dcn_offset_lr_mult",
        "bypass_duplicate",
    }
)


def misspelt_keys(keys: Iterable[str]) -> Iterator[str]:
    """Says which top-level keys are within edit distance 2 of a known one: misspellings."""
    for key in keys:
        miss = None if key in KNOWN_KEYS | VARIABLES else near_miss(key, KNOWN_KEYS)
        if miss:
            yield (
                f'nothing reads the top-level key "{key}". Did you mean "{miss}"? '
                "If it is a variable of your own, give it a less similar name."
            )


def wrong_hooks(default_hooks: dict[str, dict | None]) -> Iterator[str]:
    """Says which hooks are under names that are not MMEngine's, or say no type."""
    for name, hook in default_hooks.items():
        if name not in DEFAULT_HOOKS and (hook is None or "type" not in hook):
            yield (
                f'default_hooks: "{name}" is none of MMEngine\'s default hooks '
                f"({', '.join(sorted(DEFAULT_HOOKS))}).{did_you_mean(name, DEFAULT_HOOKS)} "
                "A hook under another name must give its type."
            )
        elif hook is not None and "type" not in hook:
            yield f"default_hooks.{name}: the hook gives no type."


def wrong_paramwise(optim_wrapper: dict[str, Any]) -> Iterator[str]:
    """Says what is wrong with the constructor's name and with its ``paramwise_cfg``."""
    name = optim_wrapper.get("constructor", "DefaultOptimWrapperConstructor")
    registered = OPTIM_WRAPPER_CONSTRUCTORS.module_dict
    if name not in registered:
        yield (
            f'optim_wrapper.constructor: "{name}" is not registered.'
            f"{did_you_mean(name, registered)} Registered: {', '.join(sorted(registered))}."
        )
        return
    default = DEFAULT_PARAMWISE_KEYS if name == "DefaultOptimWrapperConstructor" else None
    known = getattr(registered[name], "PARAMWISE_KEYS", default)
    if known is not None:
        yield from wrong_rules(optim_wrapper.get("paramwise_cfg") or {}, known)


def wrong_rules(paramwise_cfg: dict[str, Any], known: Collection[str]) -> Iterator[str]:
    """Says what is wrong with a ``paramwise_cfg`` for a constructor that reads the known keys."""
    where = "optim_wrapper.paramwise_cfg"
    yield from (f"{where}: {text}" for text in unknown_keys(paramwise_cfg, known))
    for key, value in paramwise_cfg.items():
        yield from problems(f"{where}.{key}", value, PARAMWISE.get(key, float | None))


def wrong_adapter(cfg: Config) -> Iterator[str]:
    """Says what of ``adapter`` would have no effect, or has nothing to go with."""
    adapter = cfg.get("adapter") or {}
    if adapter.get("type") == "frozen" and len(adapter) > 1:
        unread = ", ".join(key for key in adapter if key != "type")
        yield (
            f'adapter: nothing reads {unread} with type="frozen". Remove it, or, where a base '
            "file says it, begin with adapter=dict(_delete_=True, ...)."
        )
    if adapter and cfg.get("sharding"):
        yield (
            "adapter: a model with a frozen backbone cannot be sharded yet. Remove sharding: "
            "without gradients and optimizer state of the backbone, each process holds less."
        )


def foreign_parts(nodes: Iterable[Node]) -> Iterator[str]:
    """Says which parts of MMCV and MMEngine are found by their names, but do not fit the others.

    MMCV's transforms move, or normalise, pixels at once, and draw from the generator of a process.
    """
    for node in nodes:
        name, module = getattr(node.target, "__name__", ""), node.target.__module__
        is_eager = module.startswith("mmcv.") and name not in ("Compose", "KeyMapper")
        if node.registry is TRANSFORMS and is_eager:
            yield (
                f"{node.path}: MMCV's {name} changes pixels at once, and knows nothing of the "
                f"transforms of this project.{advice(name)}"
            )
        if node.path == "train_dataloader.sampler" and module.startswith("mmengine."):
            yield (
                f"{node.path}: with MMEngine's {name} each epoch would repeat what is random in "
                f"the first.{advice(name)}"
            )


def wrong_class_counts(cfg: Config, nodes: Iterable[Node]) -> Iterator[str]:
    """Says which datasets have another number of classes than the head.

    Of datasets that are joined only the first: the labels of the others may be mapped to its
    classes, which the joining dataset checks.
    """
    head = (cfg.get("model") or {}).get("decode_head") or {}
    num_classes = head.get("num_classes")
    for node in nodes:
        is_joined = re.search(r"\.datasets\[[1-9]\d*\]", node.path)
        classes = (describe(node) or {}).get("classes")
        if is_joined or num_classes is None or classes is None or len(classes) == num_classes:
            continue
        yield (
            f"model.decode_head.num_classes is {num_classes}, but {node.path} "
            f"({node.target.__name__}) has {len(classes)} classes. "
            f"Set model=dict(decode_head=dict(num_classes={len(classes)})), or correct the classes "
            "of the dataset."
        )
