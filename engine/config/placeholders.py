"""Placeholders of the environment and of the file's own path: they stand for values.

MMEngine pastes what they say into the source: a quote in it would end the string around it, and
what follows be executed.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import ConfigError

# As MMEngine has them: {{$NAME:default}}, bare or in a string, and {{ fileBasename }}, ...
_PLACEHOLDER = re.compile(
    r"\{\{['\"]?\s*\$(?P<variable>\w+)\s*:\s*(?P<default>\S*?)\s*['\"]?\}\}"
    r"|\{\{\s*(?P<file>fileDirname|fileBasename|fileBasenameNoExtension|fileExtname)\s*\}\}"
)


class Placeholders(ast.NodeTransformer):
    """The placeholders of a config file.

    Args:
        path: The file.

    Attributes:
        env_variables: Environment variables that took the place of one, with their values.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.env_variables: dict[str, str] = {}
        self.found: list[re.Match[str]] = []
        self.name = "_placeholder"

    def parse(self, source: str) -> ast.Module:
        """Parses a Python config, with the values in the places of the placeholders.

        Within a string the value is part of it. A bare one is read as a literal, such as a number,
        if it is one, and is a string otherwise.

        Raises:
            ConfigError: If a variable is neither set nor has a default.
        """
        while self.name in source:
            self.name += "_"
        tree = ast.parse(_PLACEHOLDER.sub(self._name, source), str(self.path))
        return ast.fix_missing_locations(self.visit(tree))

    def fill(self, value: Any) -> Any:
        """Returns a value of another kind of config with those in its strings filled in."""
        if isinstance(value, Mapping):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(self.fill, value))
        return _PLACEHOLDER.sub(self._value, value) if isinstance(value, str) else value

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """Fills in a string, also a part of an f-string."""
        if not isinstance(node.value, str) or self.name not in node.value:
            return node
        value = re.sub(self.name + r"(\d+)_", self._value_of_name, node.value)
        return ast.copy_location(ast.Constant(value), node)

    def visit_Name(self, node: ast.Name) -> ast.Name | ast.Constant:
        """Fills in a bare placeholder."""
        match = re.fullmatch(self.name + r"(\d+)_", node.id)
        if match is None:
            return node
        value: Any = self._value_of_name(match)
        with suppress(SyntaxError, ValueError):
            value = ast.literal_eval(value)
        return ast.copy_location(ast.Constant(value), node)

    def _name(self, match: re.Match[str]) -> str:
        self.found.append(match)
        return f"{self.name}{len(self.found) - 1}_"

    def _value_of_name(self, match: re.Match[str]) -> str:
        return self._value(self.found[int(match[1])])

    def _value(self, match: re.Match[str]) -> str:
        if match["file"]:
            path = self.path.absolute()
            named = {
                "fileDirname": path.parent.as_posix(),
                "fileBasename": path.name,
                "fileBasenameNoExtension": path.stem,
                "fileExtname": path.suffix,
            }
            return named[match["file"]]
        name = match["variable"]
        if name in os.environ:
            self.env_variables[name] = os.environ[name]
        value = os.environ.get(name, match["default"])
        if not value:
            raise ConfigError(
                f"{self.path}: the environment variable {name} is not set, or empty, and "
                f"{match[0]} has no default. Set it."
            )
        return value
