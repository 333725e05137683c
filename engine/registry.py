"""Registries: those of a task's package, and the one kind of block that MMEngine has none for.

What MMEngine's build from a config, and children of them, is an error of the config if it fails.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import mmengine.registry
import torch
from mmengine.registry import Registry

from engine.errors import ConfigError, MMSapiensError, shorten
from engine.foreign import advice

OURS = ("engine", "pretrain", "seg", "pose", "mmsapiens")
LIBRARIES = ("mmengine", "mmcv", "torch", "numpy", "cv2", "PIL", "pycocotools")

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
            frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
            packages = [f.f_globals.get("__name__", "").partition(".")[0] for f in frames]
            if not {*OURS, *LIBRARIES, *sys.stdlib_module_names}.issuperset(packages):
                raise
            is_said = isinstance(error, ValueError) and packages[-1] in OURS
            raise ConfigError(_describe(cfg, error, is_said)) from error

    return build_or_explain


def _describe(cfg: Any, error: Exception, is_said: bool) -> str:
    """Says what could not be built; if ``is_said``, the error's sentence is all there is to say."""
    if not isinstance(cfg, Mapping):
        return f"expected a dict that says what to build, found {cfg!r}."
    if "type" not in cfg:
        return f"{dict(cfg)!r} gives no type."
    name = getattr(cfg["type"], "__name__", cfg["type"])
    if is_said:
        return f"{name}: {error}"
    given = ", ".join(f"{k}={shorten(v)}" for k, v in cfg.items() if k != "type")
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{name}({given}) cannot be made: {type(error).__name__}: {error} "
        f"({Path(place.filename).name}, line {place.lineno}).{advice(str(name))}"
    )


for _root in (*vars(mmengine.registry).values(), WRITERS):
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
