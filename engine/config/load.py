"""Loads a config file: read, override, register, derive, validate."""

from __future__ import annotations

import difflib
import importlib
from os import PathLike
from pathlib import Path

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from engine.config import validate
from engine.config.binding import read_config
from engine.config.derive import fill_in
from engine.config.keys import did_you_mean
from engine.config.walk import SCOPES, typed_nodes
from engine.errors import ConfigError


def load_config(
    path: str | PathLike[str], options: dict | None = None, eval_dtype: str | None = None
) -> Config:
    """Reads a config, checks everything that can be checked without data, and fills in sizes.

    The package named by ``default_scope`` is imported, so that its names are registered.

    Args:
        path: Config file.
        options: Overrides by dotted key, as ``--cfg-options`` gives them, for example
            ``{"train_dataloader.batch_size": 4}``. Variables of the config, as
            ``{"max_epochs": 5}``, change all that its files make of them.
        eval_dtype: The model's, if the config does not say it; None is that of the training.

    Returns:
        The config, with ``input_size_hw`` written into the backbone and the transforms.

    Raises:
        ConfigError: If the file does not exist, or asks for something that nothing provides.
    """
    path = Path(path)
    options = options or {}
    sections = {key for key in options if key.split(".")[0] in validate.KNOWN_KEYS}
    cfg = _read(path, {key: options[key] for key in options if key not in sections})
    try:
        _override(cfg, {key: options[key] for key in options if key in sections})
        validate.check_top_level_keys(cfg)
        _register(cfg)
        nodes = typed_nodes(cfg)
        validate.check_arguments(nodes)
        validate.check_default_hooks(cfg)
        validate.check_optim_wrapper(cfg)
        validate.check_class_count(cfg, nodes)
        fill_in(cfg, nodes, eval_dtype)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return cfg


def _read(path: Path, variables: dict) -> Config:
    if not path.is_file():
        if not path.parent.is_dir():
            raise ConfigError(f"{path}: no such config; its folder {path.parent} does not exist.")
        names = sorted(p.name for p in path.parent.iterdir() if p.suffix == ".py")
        near = difflib.get_close_matches(path.name, names, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else f" It holds {names}."
        raise ConfigError(f"{path}: there is no such config in {path.parent}.{hint}")
    try:
        return read_config(path, variables)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: {error}. Correct the path in its _base_ list.") from error
    except (KeyError, SyntaxError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _override(cfg: Config, options: dict) -> None:
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"options {options}: {error}") from error


def _register(cfg: Config) -> None:
    for module in ("engine.optim", "engine.train_loop"):
        importlib.import_module(module)
    import_modules_from_strings(**cfg.get("custom_imports", {"imports": []}))
    scope = cfg.get("default_scope")
    if scope is None or scope == "mmengine":
        return
    try:
        importlib.import_module(scope)
    except ModuleNotFoundError as error:
        if error.name != scope:
            raise
        raise ConfigError(
            f'default_scope: there is no package "{scope}".{did_you_mean(scope, SCOPES)} '
            f"This project has: {', '.join(SCOPES)}."
        ) from error
