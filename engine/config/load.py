"""Loads a config file: read, override, register, derive, validate."""

from __future__ import annotations

import difflib
import importlib
import logging
import re
from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner
from yaml import YAMLError

from engine.config import validate
from engine.config.arguments import missing_arguments, unfit_arguments, unknown_arguments
from engine.config.binding import read_config
from engine.config.derive import fill_in
from engine.config.keys import did_you_mean
from engine.config.walk import SCOPES, Node, find_nodes
from engine.errors import ConfigError, collect

REGISTERING = ("custom_imports", "default_scope")
"""Keys that say what is imported, and so which names there are."""


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
        ConfigError: If the file does not exist, or asks for something that nothing provides. It
            says all that was found.
    """
    path = Path(path)
    errors: list[str] = []
    cfg = _read(path, options or {}, errors)
    errors += [f"{path}: {text}" for text in dict.fromkeys(_check(cfg, eval_dtype))]
    if errors:
        raise ConfigError(*errors)
    return cfg


def _check(cfg: Config, eval_dtype: str | None) -> list[str]:
    """Checks a config as far as what was found allows, and completes it if all is well."""
    errors = list(validate.misspelt_keys(cfg))
    unfit = _unfit_sections(cfg, validate.KNOWN_KEYS)
    if _unfit_sections(cfg, REGISTERING) or not collect(errors, register, cfg):
        return errors + unfit  # it cannot be known which names there are
    nodes = find_nodes(cfg, errors)
    errors += [*unknown_arguments(nodes), *missing_arguments(nodes)]
    errors += validate.foreign_parts(nodes)
    unfit += unfit_arguments(nodes)
    if not unfit:
        errors += validate.wrong_hooks(cfg.get("default_hooks") or {})
        errors += validate.wrong_paramwise(cfg.get("optim_wrapper") or {})
        errors += validate.wrong_class_counts(cfg, nodes)
        errors += validate.wrong_adapter(cfg)
    if not unfit and not errors:
        collect(errors, fill_in, cfg, nodes, eval_dtype)
    return errors + unfit


def _unfit_sections(cfg: Config, keys: Collection[str]) -> list[str]:
    """Says which top-level values the runner cannot take."""
    sections = {key: cfg[key] for key in cfg if key in keys}
    return list(unfit_arguments([Node("", sections, None, Runner)]))


def _read(path: Path, options: dict, errors: list[str]) -> Config:
    if not path.is_file():
        if not path.parent.is_dir():
            raise ConfigError(f"{path}: no such config; its folder {path.parent} does not exist.")
        names = sorted(p.name for p in path.parent.iterdir() if p.suffix == ".py")
        near = difflib.get_close_matches(path.name, names, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else f" It holds {names}."
        raise ConfigError(f"{path}: there is no such config in {path.parent}.{hint}")
    try:
        return read_config(path, options, errors)
    except ConfigError:
        raise
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: {error}. Correct the path in its _base_ list.") from error
    except (KeyError, OSError, SyntaxError, TypeError, ValueError, YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error


def register(cfg: Config | dict[str, Any]) -> None:
    """Imports what registers the names that a config may use.

    Raises:
        ConfigError: If a module of its ``custom_imports`` or its ``default_scope`` is not there.
    """
    for module in ("engine.optim", "engine.train_loop"):
        importlib.import_module(module)
    custom: Any = cfg.get("custom_imports") or {}
    imports = custom.get("imports") or []
    for module in [imports] if isinstance(imports, str) else imports:
        _import(module, f'custom_imports: there is no module "{module}" on sys.path.', custom)
    scope: Any = cfg.get("default_scope")
    if scope is not None and scope != "mmengine":
        _import(
            scope,
            f'default_scope: there is no package "{scope}".{did_you_mean(scope, SCOPES)} '
            f"This project has: {', '.join(SCOPES)}.",
        )


def _import(module: str, absent: str, options: Mapping[str, Any] | None = None) -> None:
    try:
        if not re.fullmatch(r"\w+(\.\w+)*", module):
            raise ModuleNotFoundError(name=module)
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # it is there, and what it imports is not
        if not (options or {}).get("allow_failed_imports"):
            raise ConfigError(absent) from error
        print_log(absent, "current", logging.WARNING)
