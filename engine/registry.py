"""Registries: those of a task's package, and the one kind of block that MMEngine has none for.

What MMEngine's build from a config, and children of them, is an error of the config if it fails.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

import mmengine.registry
import torch
from mmengine.registry import Registry

from engine.errors import ConfigError, MMSapiensError, shorten
from engine.foreign import advice

PACKAGES = (
    *("engine", "pretrain", "seg", "pose", "mmsapiens"),
    *("mmengine", "mmcv", "torch", "numpy", "cv2", "PIL", "pycocotools"),
)
"""Whose code is taken to be right: what it cannot build of a config, the config is wrong about."""

WRITERS = Registry("writer")
"""What :mod:`engine.infer` writes for an image; named by the config's top-level ``writer``."""


def explained(build: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function that builds from a config say what it could not build, of what, and where.

    What goes wrong in code of a user's own keeps its traceback: it may be the code.
    """

    @wraps(build)
    def build_or_explain(cfg: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return build(cfg, *args, **kwargs)
        except (MMSapiensError, ImportError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if not all(map(_is_known, traceback.walk_tb(error.__traceback__))):
                raise
            raise ConfigError(_describe(cfg, error)) from error

    return build_or_explain


def _is_known(entry: tuple[FrameType, int]) -> bool:
    package = entry[0].f_globals.get("__name__", "").partition(".")[0]
    return package in PACKAGES or package in sys.stdlib_module_names


def _describe(cfg: Any, error: Exception) -> str:
    if not isinstance(cfg, Mapping):
        return f"expected a dict that says what to build, found {cfg!r}."
    if "type" not in cfg:
        return f"{dict(cfg)!r} gives no type."
    place = traceback.extract_tb(error.__traceback__)[-1]
    name = getattr(cfg["type"], "__name__", cfg["type"])
    given = ", ".join(f"{k}={shorten(v)}" for k, v in cfg.items() if k != "type")
    return (
        f"{name}({given}) cannot be made: {type(error).__name__}: {error} "
        f"({Path(place.filename).name}, line {place.lineno}).{advice(str(name))}"
    )


for _root in vars(mmengine.registry).values():
    if isinstance(_root, Registry):
        _root.build_func = explained(_root.build_func)


def child_registries(scope: str) -> dict[str, Registry]:
    """Makes a child of each of MMEngine's registries, and of ours, for the package ``scope``.

    A complete set: MMEngine warns of every registry that a scope lacks, whether used or not.

    Returns:
        The children by their names in :mod:`mmengine.registry`, such as ``"MODELS"``.
    """
    roots = {**vars(mmengine.registry), "WRITERS": WRITERS}
    return {
        name: Registry(root.name, parent=root, scope=scope, locations=[scope])
        for name, root in roots.items()
        if isinstance(root, Registry)
    }
