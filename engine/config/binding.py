"""Executes the layers of a config and merges them; a name means the same in all of them.

A layer is executed after those above it, so that a name which it assigns gets what they say about
it at once, and all that it makes of the name sees that. What a layer takes from its bases cannot be
known then; it is executed again when they are.
"""

from __future__ import annotations

from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mmengine.config import Config, ConfigDict

from engine.config.merge import DELETE, merge, without_delete
from engine.config.placeholders import Placeholders
from engine.config.run_config import RunConfig
from engine.config.sources import BASE, Layer, parse
from engine.config.unread import check_names, unread
from engine.config.validate import KNOWN_KEYS
from engine.errors import ConfigError, collect


def read_config(path: Path, options: dict[str, Any], errors: list[str]) -> Config:
    """Reads a config as ``Config.fromfile`` does, with four differences.

    Bases may define the same key: each is merged over the ones before it, as the file itself is
    merged over all of them; so that one base can give the head and another the backbone.

    A name means the same in all layers: what one says about ``data_root`` holds in all that the
    layers below it make of their ``data_root``.

    The config has sections alone. Its variables are spent, and must have been used.

    What a placeholder of the environment stands for is a value, and never becomes source.

    Args:
        path: A Python config; for ``_base_``, ``{{$VARIABLE:default}}`` and ``{{_base_.name}}``
            see MMEngine. Files of other kinds, and those that import their bases, are read as
            MMEngine does.
        options: Values by dotted key. Those of variables are a layer above the file; those of
            sections are merged over what comes out.
        errors: Gets what is wrong with names that are given: nothing reads them.

    Raises:
        ConfigError: If a dict meets what it cannot be merged with, or a file cannot be executed.
        FileNotFoundError: If the file, or one of its bases, does not exist.
    """
    of_sections = {key: options[key] for key in options if key.split(".")[0] in KNOWN_KEYS}
    variables = {key: options[key] for key in options if key not in of_sections}
    if path.suffix != ".py" or Config._is_lazy_import(str(path)):
        errors += [f"{path}: {unread(option, is_option=True)}" for option in variables]
        cfg = Config.fromfile(path, use_environment_variables=False)
        sections, text = Placeholders(path).fill(cfg.to_dict()), cfg.text
        env_variables: dict[str, str] = {}
    else:
        layers, sections = _read(path, variables)
        collect(errors, check_names, layers, variables)
        for option in variables:
            collect(errors, _check_effect, option, variables, layers, sections)
        text = "\n".join(f"{layer.path}\n{layer.source}" for layer in layers)
        env_variables = {k: v for layer in layers for k, v in layer.env_variables.items()}
    sections = without_delete(merge(_nested(of_sections), sections))
    return RunConfig(sections, cfg_text=text, filename=str(path), env_variables=env_variables)


def read_unbound(top: Layer) -> dict[str, Any]:
    """Executes a config as MMEngine does: a base never sees the names of the layers above it.

    Args:
        top: The file, parsed.

    Returns:
        All values that it amounts to, by name.
    """
    for layer in top:
        layer.values, layer.from_bases = _execute(layer, None)
    return without_delete(_merged(top))


def _read(path: Path, variables: dict[str, Any]) -> tuple[list[Layer], dict[str, Any]]:
    """Returns the layers of a config, the lowest first, and the sections that they amount to."""
    top = parse(path)
    layers = list(top)
    with top.naming():
        options = _nested(variables)
    _bind(layers, options)
    values = _merged(top)
    return layers, {key: without_delete(values[key]) for key in values if key in KNOWN_KEYS}


def _check_effect(
    option: str, variables: dict[str, Any], layers: list[Layer], sections: dict[str, Any]
) -> None:
    """Rejects an option that changes a variable, and thereby nothing."""
    top, name = layers[-1], option.split(".")[0]
    others = {key: value for key, value in variables.items() if key != option}
    without, unchanged = _read(top.path, others)
    values, values_without = ([each.values.get(name) for each in ls] for ls in (layers, without))
    if unchanged == sections and values != values_without:
        raise ConfigError(
            f'{top.path}: option "{option}" changes nothing: a layer above those that read '
            f"{name} sets the same place to a value of its own. Set that place instead."
        )


def _nested(options: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    # What is to be deleted is what lies below, not the options beside it, wherever they stand.
    for option, value in sorted(options.items(), key=lambda item: DELETE not in item[0]):
        for key in reversed(option.split(".")):
            value = {key: value}
        nested = merge(value, nested, keep_delete=True)
    return nested


def _bind(layers: list[Layer], above: dict[str, Any]) -> None:
    """Executes the layers from the top, as far as that goes without the ones below."""
    for layer in reversed(layers):
        layer.above = above
        layer.values, layer.from_bases = _execute(layer, None)
        with layer.naming():
            above = merge(above, layer.values, keep_delete=True)


def _merged(layer: Layer) -> dict[str, Any]:
    """Merges a layer over its bases, from which the rest of its values follows."""
    below: dict[str, Any] = {}
    for base in layer.bases:
        merged = _merged(base)
        with base.naming():
            below = merge(merged, below)
    if layer.from_bases:
        layer.values, _ = _execute(layer, ConfigDict(without_delete(below)))
    with layer.naming():
        return merge(layer.values, below)


def _execute(layer: Layer, below: ConfigDict | None) -> tuple[dict[str, Any], set[str]]:
    """Executes a config file.

    Args:
        layer: The file.
        below: What its bases say; if None, the statements that need that are left out.

    Returns:
        The values by name, and the names that were left out.
    """
    namespace: dict[str, Any] = {BASE: below}
    left_out: set[str] = set()
    for statement in layer.statements:
        if below is None and (statement.needs_base or statement.needs & left_out):
            left_out |= statement.binds
            continue
        try:
            exec(statement.code, namespace)
        except Exception as error:
            name = type(error).__name__
            raise ConfigError(f"{layer.path}, line {statement.line}: {name}: {error}") from error
        left_out -= statement.binds
        for name in statement.binds & layer.above.keys() & namespace.keys():
            with layer.naming():
                namespace[name] = merge(layer.above[name], namespace[name], name)
    values = {
        name: value
        for name, value in namespace.items()
        if name not in left_out
        and name != BASE
        and not name.startswith("__")
        and not isinstance(value, (FunctionType, ModuleType))
    }
    return values, left_out
