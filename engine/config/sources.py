"""The files that a config consists of: it lies on its ``_base_`` files, and they on theirs."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from engine.config.syntax import BASE, Statement, statements
from engine.errors import ConfigError

PLACEHOLDER = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")


@dataclass
class Layer:
    """One config file, in the place that it has above its bases.

    Attributes:
        path: The file.
        source: Its text.
        env_variables: Environment variables that it uses, with their values.
        statements: What it consists of.
        bases: The layers that its ``_base_`` names.
        above: What the layers above it say, by name.
        values: What it says itself, by name.
        from_bases: Names whose value follows from the layers below, which never see it.
    """

    path: Path
    source: str
    env_variables: dict[str, Any]
    statements: list[Statement]
    bases: list[Layer]
    above: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    from_bases: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[Layer]:
        """Goes through all layers, the lowest first."""
        for base in self.bases:
            yield from base
        yield self

    @property
    def reads(self) -> set[str]:
        """Names that it uses of its own."""
        return {name for statement in self.statements for name in statement.reads}

    @property
    def base_reads(self) -> set[str]:
        """Names that it uses of its bases."""
        return {name for statement in self.statements for name in statement.base_reads}

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Lets the errors of what is done with the file begin with its name."""
        try:
            yield
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from error


def parse(path: Path, parents: tuple[Path, ...] = ()) -> Layer:
    """Reads a config file and its bases, and executes nothing.

    Raises:
        ConfigError: If the file is among its own bases.
        FileNotFoundError: If one of the files does not exist.
    """
    if path.resolve() in parents:
        raise ConfigError(f"{path}: the file is among its own bases. Take it out of {BASE}.")
    source = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        temporary = str(Path(folder, path.name))
        Config._substitute_predefined_vars(str(path.absolute()), temporary)
        env_variables = Config._substitute_env_variables(temporary, temporary)
        text = Path(temporary).read_text(encoding="utf-8")
    found, names = statements(PLACEHOLDER.sub(_lookup, text), path)
    bases = [parse(path.parent / name, (*parents, path.resolve())) for name in names]
    return Layer(path, source, env_variables, found, bases)


def _lookup(placeholder: re.Match) -> str:
    return BASE + "".join(f"[{key!r}]" for key in placeholder[1].split("."))
