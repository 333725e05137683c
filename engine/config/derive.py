"""What a config says once is filled in here wherever else it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, MODELS, TRANSFORMS, VISUALIZERS

from engine.config.values import problems
from engine.config.walk import Node, parameters
from engine.data.mirror import index_flip_pairs
from engine.errors import ConfigError, collect
from engine.registry import WRITERS


def fill_in(cfg: Config, nodes: list[Node], eval_dtype: str | None = None) -> None:
    """Fills in the arguments that follow from other parts of a config.

    Args:
        cfg: The config; changed in place.
        nodes: What will be built from it.
        eval_dtype: See :func:`fill_precision`.

    Raises:
        ConfigError: If what the config gives itself contradicts, or a switch has no effect.
    """
    fill_sizes(cfg, nodes)
    fill_schedule(cfg)
    fill_precision(cfg, nodes, eval_dtype)
    fill_checkpointing(cfg, nodes)
    fill_flip_pairs(nodes)
    fill_keypoint_set(cfg, nodes)
    fill_category(nodes)


def fill_sizes(cfg: Config, nodes: list[Node]) -> None:
    """Hands the top-level ``input_size_hw`` to the backbone and to the transforms that want it.

    These are ``model.backbone.img_size`` and ``size_hw`` of every transform whose constructor has
    such a parameter. What the config gives there itself must agree.

    Raises:
        ConfigError: If ``input_size_hw`` is no pair of positive integers, or a size contradicts it.
    """
    if cfg.get("input_size_hw") is None:
        return
    size_hw = _pair_hw(cfg.input_size_hw)
    if size_hw is None:
        raise ConfigError(
            f"input_size_hw: expected (height, width) in pixels, found {cfg.input_size_hw!r}."
        )
    errors: list[str] = []
    for node in nodes:
        if node.registry is TRANSFORMS:
            collect(errors, _fill_size, node, "size_hw", size_hw)
        elif node.path == "model.backbone":
            collect(errors, _fill_size, node, "img_size", size_hw)
    if errors:
        raise ConfigError(*errors)


def fill_schedule(cfg: Config) -> None:
    """Lets schedules by epoch that say no ``end`` end with the training.

    So that ``train_cfg.max_epochs``, or an override, is the one place that says how long it is.
    """
    max_epochs = (cfg.get("train_cfg") or {}).get("max_epochs")
    schedulers = cfg.get("param_scheduler") or []
    for scheduler in schedulers if isinstance(schedulers, list | tuple) else [schedulers]:
        if max_epochs is not None and scheduler.get("by_epoch", True):
            scheduler.setdefault("end", max_epochs)


def fill_precision(cfg: Config, nodes: list[Node], eval_dtype: str | None = None) -> None:
    """Lets the model evaluate in that precision, or that of its training: ``model.eval_dtype``."""
    wrapper = cfg.get("optim_wrapper") or {}
    default = "bfloat16" if wrapper.get("type") == "AutocastOptimWrapper" else "float32"
    for model in _models(nodes, "eval_dtype"):
        model.cfg.setdefault("eval_dtype", eval_dtype or wrapper.get("dtype", default))


def fill_checkpointing(cfg: Config, nodes: list[Node]) -> None:
    """Turns the top-level ``activation_checkpointing`` into the switches of the model's parts.

    With ``dict(every=2)``, parts made of layers recompute every second one, others all they have.
    MMEngine would read a list of module names under this key, so it does not stay.

    Raises:
        ConfigError: If no part has such a switch.
    """
    switch = cfg.pop("activation_checkpointing", False)
    if not switch:
        return
    every = switch["every"] if isinstance(switch, dict) else True
    parts = [
        node
        for node in nodes
        if node.registry is MODELS and "activation_checkpointing" in parameters(node.target).names
    ]
    if not parts:
        raise ConfigError(
            f"activation_checkpointing: no part of {cfg.model.type} has this switch. Remove the "
            "key."
        )
    for part in parts:
        hint = parameters(part.target).named["activation_checkpointing"].annotation
        part.cfg["activation_checkpointing"] = True if problems("", 2, hint) else every


def fill_flip_pairs(nodes: list[Node]) -> None:
    """Tells the model which labels a mirror exchanges: those of the first dataset that has them."""
    metainfos = [described for node in nodes if (described := describe(node))]
    for model in _models(nodes, "swap_seg_labels"):
        if metainfos and model.cfg.get("swap_seg_labels") is None:
            classes, flip_pairs = (metainfos[0][key] for key in ("classes", "flip_pairs"))
            model.cfg["swap_seg_labels"] = index_flip_pairs(classes, flip_pairs, "flip_pairs")


def fill_keypoint_set(cfg: Config, nodes: list[Node]) -> None:
    """Hands ``model.metainfo``, the keypoint set, to all that need it: datasets, metrics, ..."""
    metainfo = (cfg.get("model") or {}).get("metainfo")
    takers = (DATASETS, METRICS, VISUALIZERS, WRITERS)
    for node in nodes:
        if node.registry in takers and "metainfo" in parameters(node.target).names and metainfo:
            node.cfg.setdefault("metainfo", metainfo)


def fill_category(nodes: list[Node]) -> None:
    """Hands the ``category`` of an evaluated dataset, who in its file is people, to its metrics."""
    chosen = {node.path: node.cfg.get("category") for node in nodes if node.registry is DATASETS}
    for node in nodes:
        category = chosen.get(f"{node.path.partition('_')[0]}_dataloader.dataset")
        is_taker = node.registry is METRICS and "category" in parameters(node.target).names
        if is_taker and category is not None:
            node.cfg.setdefault("category", category)


def describe(dataset: Node) -> dict[str, Any] | None:
    """Returns ``classes`` and ``flip_pairs`` of a dataset by its config and class; no file is read.

    None for what is no dataset, or one without classes.
    """
    if dataset.registry is not DATASETS:
        return None
    # A dataset's metainfo may also be the name of a keypoint set.
    places = (dataset.cfg, dataset.cfg.get("metainfo"), getattr(dataset.target, "METAINFO", None))
    tables = [place for place in places if isinstance(place, Mapping)]
    found = {
        key: next((t[key] for t in tables if isinstance(t.get(key), list | tuple)), None)
        for key in ("classes", "flip_pairs")
    }
    if found["classes"] is None:
        return None
    return {"classes": found["classes"], "flip_pairs": found["flip_pairs"] or ()}


def _models(nodes: Sequence[Node], parameter: str) -> list[Node]:
    """The model as a whole, if its constructor has the parameter."""
    models = [node for node in nodes if node.path == "model"]
    return [model for model in models if parameter in parameters(model.target).names]


def _fill_size(node: Node, key: str, size_hw: tuple[int, int]) -> None:
    if key not in parameters(node.target).names:
        return
    given = node.cfg.get(key)
    if given is None:
        node.cfg[key] = size_hw
    elif _pair_hw(given) != size_hw:
        raise ConfigError(
            f"{node.path}.{key} is {given!r}, but input_size_hw is {size_hw} (height, width). "
            f"Remove {node.path}.{key}: it is filled from input_size_hw."
        )


def _pair_hw(size: Any) -> tuple[int, int] | None:
    height_width = (size, size) if isinstance(size, int) else tuple(size)
    if len(height_width) != 2 or not all(isinstance(x, int) and x > 0 for x in height_width):
        return None
    return height_width[0], height_width[1]
