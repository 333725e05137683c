"""Reads a config file on top of its ``_base_`` files, which may share keys."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.config.utils import RemoveAssignFromAST


def read_layers(path: Path) -> Config:
    """Reads a config as ``Config.fromfile`` does, but merges bases that define the same key.

    MMEngine refuses two bases that both say something about ``model``. Here each base is merged
    over the ones before it, as the file itself is merged over all of them; so that one base can
    give the head and another the backbone.

    Args:
        path: A Python config; for ``_base_``, ``{{$VARIABLE:default}}`` and ``{{_base_.name}}``
            see MMEngine.

    Raises:
        FileNotFoundError: If the file, or one of its bases, does not exist.
    """
    if path.suffix != ".py" or Config._is_lazy_import(str(path)):
        return Config.fromfile(path)
    values, text, env_variables = _read(path)
    return Config(values, cfg_text=text, filename=str(path), env_variables=env_variables)


def _read(path: Path) -> tuple[ConfigDict, str, dict[str, Any]]:
    """Returns the values, the texts of all files, and the environment variables that were used."""
    source = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        temporary = str(Path(folder, path.name))
        Config._substitute_predefined_vars(str(path.absolute()), temporary)
        env_variables = Config._substitute_env_variables(temporary, temporary)
        placeholders = Config._pre_substitute_base_vars(temporary, temporary)
        base_names = Config._get_base_files(temporary)
        tree = ast.parse(Path(temporary).read_text(encoding="utf-8"))

    below = ConfigDict()
    texts = []
    for name in base_names:
        base, text, used = _read(path.parent / name)
        below = Config._merge_a_into_b(base, below)
        texts.append(text)
        env_variables.update(used)

    namespace: dict[str, Any] = {"_base_": below}
    exec(compile(RemoveAssignFromAST("_base_").visit(tree), str(path), "exec"), namespace)
    own = {
        key: value
        for key, value in namespace.items()
        if key != "_base_"
        and not key.startswith("__")
        and not isinstance(value, (FunctionType, ModuleType))
    }
    own = Config._substitute_base_vars(own, placeholders, below)
    texts.append(f"{path}\n{source}")
    own = _replacing_names(own, below)
    return Config._merge_a_into_b(own, below), "\n".join(texts), env_variables


def _replacing_names(own: dict, below: dict) -> dict:
    """Lets a dict replace what a base gives by name, such as ``metainfo="coco"``.

    MMEngine refuses to merge a dict into a string.
    """
    replaced = {}
    for key, value in own.items():
        if isinstance(value, dict):
            base = below.get(key)
            if isinstance(base, str):
                value = {**value, "_delete_": True}
            elif isinstance(base, dict) and "_delete_" not in value:
                value = _replacing_names(value, base)
        replaced[key] = value
    return replaced
