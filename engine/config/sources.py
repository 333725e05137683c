"""The files that a config consists of: it lies on its ``_base_`` files, and they on theirs.

What each of their statements reads and binds is told by its syntax alone.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from engine.config.placeholders import Placeholders
from engine.errors import ConfigError

BASE = "_base_"
PLACEHOLDER = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")


class Statement(NamedTuple):
    """A top-level statement of a config file.

    Attributes:
        node: Its syntax.
        code: To execute it.
        line: Where it begins, from 1.
        reads: Names whose value it uses.
        base_reads: Names that it uses of the layers below, as ``_base_.name``.
        needs: Names that must have their value before it: those it reads, and those it changes.
        binds: Names that may have another value after it.
        needs_base: Whether it uses the layers below at all.
    """

    node: ast.stmt
    code: CodeType
    line: int
    reads: frozenset[str]
    base_reads: frozenset[str]
    needs: frozenset[str]
    binds: frozenset[str]
    needs_base: bool


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
            raise error.within(str(self.path)) from error


def parse(path: Path, parents: tuple[Path, ...] = ()) -> Layer:
    """Reads a config file and its bases, and executes nothing.

    Raises:
        ConfigError: If the file is among its own bases.
        FileNotFoundError: If one of the files does not exist.
    """
    if path.resolve() in parents:
        raise ConfigError(f"{path}: the file is among its own bases. Take it out of {BASE}.")
    source = path.read_text(encoding="utf-8")
    placeholders = Placeholders(path)
    tree = placeholders.parse(PLACEHOLDER.sub(_lookup, source))
    found, names = statements(tree, path)
    bases = [parse(path.parent / name, (*parents, path.resolve())) for name in names]
    return Layer(path, source, placeholders.env_variables, found, bases)


def _lookup(placeholder: re.Match) -> str:
    return BASE + "".join(f"[{key!r}]" for key in placeholder[1].split("."))


def statements(tree: ast.Module, path: Path) -> tuple[list[Statement], list[str]]:
    """Splits a config file.

    Args:
        tree: Its syntax, with ``_base_["name"]`` for each placeholder of its bases.
        path: The file, for messages.

    Returns:
        Its statements but for that which gives ``_base_``, and the files that one names.

    Raises:
        ConfigError: If ``_base_`` is no list, or a placeholder stands inside a string, where it
            would stay as it is.
    """
    found = []
    bases: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == BASE:
            bases = _bases(node, path)
        else:
            found.append(_statement(node, path))
    return found, bases


def _bases(node: ast.Assign, path: Path) -> list[str]:
    try:
        names = ast.literal_eval(node.value)
    except ValueError as error:
        raise ConfigError(
            f"{path}, line {node.lineno}: {BASE} is a list of file names, which nothing before it "
            "can help to make."
        ) from error
    return [names] if isinstance(names, str) else list(names)


def _statement(node: ast.stmt, path: Path) -> Statement:
    nodes = list(ast.walk(node))
    if any(f"{BASE}[" in str(n.value) for n in nodes if isinstance(n, ast.Constant)):
        raise ConfigError(
            f"{path}, line {node.lineno}: a placeholder stands inside quotes. Write "
            '{{_base_.name}} + "/rest", with nothing around it.'
        )
    names = [n for n in nodes if isinstance(n, ast.Name)]
    roots = [_root(n) for n in nodes if isinstance(n, (ast.Attribute, ast.Subscript))]
    changed = {id(root) for root, is_store in roots if is_store}
    mutated = {n.id for n in names if id(n) in changed}
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        mutated.add(node.target.id)
    loads = {n.id for n in names if isinstance(n.ctx, ast.Load) and id(n) not in changed}
    stores = {n.id for n in names if not isinstance(n.ctx, ast.Load)}
    stores |= {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    stores |= {(n.asname or n.name).split(".")[0] for n in nodes if isinstance(n, ast.alias)}
    is_assignment = isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign))
    reads = frozenset(loads - {BASE})
    return Statement(
        node=node,
        code=compile(ast.Module([node], []), str(path), "exec"),
        line=node.lineno,
        reads=reads,
        base_reads=frozenset(filter(None, map(_base_name, nodes))),
        needs=reads | mutated,
        # What is no assignment, such as pipeline.insert(...), may change all that it mentions.
        binds=frozenset(
            stores | mutated | (set() if is_assignment else reads - vars(builtins).keys())
        ),
        needs_base=BASE in loads,
    )


def _root(node: ast.Attribute | ast.Subscript) -> tuple[ast.AST, bool]:
    """Returns the ``model`` of ``model["backbone"]["arch"]``, and whether that is assigned to."""
    root: ast.AST = node
    while isinstance(root, (ast.Attribute, ast.Subscript)):
        root = root.value
    return root, not isinstance(node.ctx, ast.Load)


def _base_name(node: ast.AST) -> str | None:
    value = getattr(node, "value", None)
    if not isinstance(value, ast.Name) or value.id != BASE:
        return None
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return None
