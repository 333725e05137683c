"""Sizes are written once in a config; every other place that needs them is filled in here."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.registry import TRANSFORMS

from engine.config.walk import Node, parameters
from engine.errors import ConfigError


def fill_sizes(cfg: Config, nodes: list[Node]) -> None:
    """Hands the top-level ``input_size_hw`` to the backbone and to the transforms that want it.

    These are ``model.backbone.img_size`` and ``size_hw`` of every transform whose constructor has
    such a parameter. What the config gives there itself must agree.

    Args:
        cfg: The config; changed in place.
        nodes: What will be built from it.

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
    for node in nodes:
        if node.registry is TRANSFORMS:
            _fill(node, "size_hw", size_hw)
        elif node.path == "model.backbone":
            _fill(node, "img_size", size_hw)


def fill_schedule(cfg: Config) -> None:
    """Lets schedules by epoch that say no ``end`` end with the training.

    So that ``train_cfg.max_epochs``, or an override, is the one place that says how long it is.
    """
    max_epochs = (cfg.get("train_cfg") or {}).get("max_epochs")
    schedulers = cfg.get("param_scheduler") or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        if max_epochs is not None and scheduler.get("by_epoch", True):
            scheduler.setdefault("end", max_epochs)


def _fill(node: Node, key: str, size_hw: tuple[int, int]) -> None:
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
