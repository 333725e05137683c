"""The checks that a config must pass; each says what is wrong, where, and how to mend it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import (
    DATASETS,
    HOOKS,
    LOOPS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    Registry,
)
from mmengine.runner import Runner

from engine.config.derive import describe
from engine.config.keys import check_paramwise_cfg, did_you_mean, reject_unknown
from engine.config.walk import Node, parameters, typed_nodes
from engine.errors import ConfigError, near_miss

#: Top-level keys that something reads: the Runner's parameters, what it looks up in the config
#: besides, and ours. Any other name is a variable of the config file.
KNOWN_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"} | {
    "activation_checkpointing",
    "compile",
    "custom_imports",
    "efficient_conv_bn_eval",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "runner_type",
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

#: Keys that a builder takes out before the constructor sees them, by registry (None: data loader).
BUILDER_KEYS: dict[Registry | None, frozenset[str]] = {
    None: frozenset({"num_batch_per_epoch"}),
    HOOKS: frozenset({"priority"}),
    LOOPS: frozenset({"by_epoch"}),
    OPTIM_WRAPPERS: frozenset({"constructor", "paramwise_cfg"}),
    PARAM_SCHEDULERS: frozenset({"convert_to_iter_based", "epoch_length"}),
}


def check_top_level_keys(keys: Iterable[str]) -> None:
    """Rejects a top-level key within edit distance 2 of a known one: it is a misspelling."""
    for key in keys:
        if key not in KNOWN_KEYS | VARIABLES:
            miss = near_miss(key, KNOWN_KEYS)
            if miss:
                raise ConfigError(
                    f'nothing reads the top-level key "{key}". Did you mean "{miss}"? '
                    "If it is a variable of your own, give it a less similar name."
                )


def check_arguments(nodes: Iterable[Node]) -> None:
    """Rejects a keyword argument that the constructor does not have.

    A constructor with ``**kwargs`` may use any; there only a near miss of a named one is an error
    (of a short name, one edit).
    """
    for node in nodes:
        accepted = parameters(node.target)
        known = accepted.names | BUILDER_KEYS.get(node.registry, frozenset())
        names = [name for name in node.cfg if name not in ("type", "_scope_")]
        if accepted.open:
            names = [name for name in names if near_miss(name, known, 1 + (len(name) > 4))]
        name = getattr(node.target, "__name__", repr(node.target))
        reject_unknown(f"{node.path} ({name})", names, known)


def check_default_hooks(cfg: Config) -> None:
    """Rejects a hook under a name that is not MMEngine's and that says no type."""
    for name, hook in (cfg.get("default_hooks") or {}).items():
        if name not in DEFAULT_HOOKS and (hook is None or "type" not in hook):
            raise ConfigError(
                f'default_hooks: "{name}" is none of MMEngine\'s default hooks '
                f"({', '.join(sorted(DEFAULT_HOOKS))}).{did_you_mean(name, DEFAULT_HOOKS)} "
                "A hook under another name must give its type."
            )
        if hook is not None and "type" not in hook:
            raise ConfigError(f"default_hooks.{name}: the hook gives no type.")


def check_optim_wrapper(cfg: Config) -> None:
    """Checks the constructor's name and the keys of its ``paramwise_cfg``."""
    optim_wrapper = cfg.get("optim_wrapper") or {}
    name = optim_wrapper.get("constructor", "DefaultOptimWrapperConstructor")
    registered = OPTIM_WRAPPER_CONSTRUCTORS.module_dict
    if name not in registered:
        raise ConfigError(
            f'optim_wrapper.constructor: "{name}" is not registered.'
            f"{did_you_mean(name, registered)} Registered: {', '.join(sorted(registered))}."
        )
    default = DEFAULT_PARAMWISE_KEYS if name == "DefaultOptimWrapperConstructor" else None
    known = getattr(registered[name], "PARAMWISE_KEYS", default)
    paramwise_cfg = optim_wrapper.get("paramwise_cfg")
    if known is not None and paramwise_cfg is not None:
        check_paramwise_cfg(paramwise_cfg, known)


def check_class_count(cfg: Config, nodes: Iterable[Node]) -> None:
    """Compares the head's number of classes with that of every dataset.

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
        raise ConfigError(
            f"model.decode_head.num_classes is {num_classes}, but {node.path} "
            f"({node.target.__name__}) has {len(classes)} classes. "
            f"Set model=dict(decode_head=dict(num_classes={len(classes)})), or correct the classes "
            "of the dataset."
        )


def check_data_roots(cfg: Config, splits: Iterable[str] = ("train", "val", "test")) -> None:
    """Checks that the folders of the datasets exist.

    Apart from :func:`load_config`, since building a model or running it on images needs no data.

    Args:
        cfg: A loaded config.
        splits: Of which data loaders.

    Raises:
        ConfigError: For the first ``data_root`` that is not a folder.
    """
    sections = tuple(f"{split}_dataloader" for split in splits)
    for node in typed_nodes(cfg):
        data_root = node.cfg.get("data_root")
        if node.registry is not DATASETS or not data_root or not node.path.startswith(sections):
            continue
        if not Path(data_root).is_dir():
            default = re.search(r"data_root\s*=.*?\{\{\s*\$\s*(\w+)", cfg.text)
            variable = default[1] if default else "DATA_ROOT"
            raise ConfigError(
                f'{cfg.filename}: {node.path}.data_root: there is no folder "{data_root}" '
                f"(seen from {Path.cwd()}). Set the environment variable {variable} to the folder "
                f"that holds your datasets, or {node.path}.data_root to this one."
            )


def check_weights_exist(cfg: Config) -> None:
    """Checks that the checkpoints to start from are there, before anything long begins.

    The backbone's pretrained weights are not needed if a checkpoint of the whole model follows.

    Raises:
        ConfigError: For the first file that is missing.
    """
    init_cfg = cfg.model.get("backbone", {}).get("init_cfg") or {}
    places = {"load_from": cfg.get("load_from")}
    if not cfg.get("load_from") and not cfg.get("resume"):
        places["model.backbone.init_cfg.checkpoint"] = init_cfg.get("checkpoint")
    for place, path in places.items():
        if path is not None and not Path(path).is_file():
            raise ConfigError(
                f'{cfg.filename}: {place}: there is no file "{path}" (seen from {Path.cwd()}). Set '
                "the environment variable SAPIENS_CHECKPOINT_ROOT to the folder of the downloaded "
                f"weights, or {place} to the file."
            )
