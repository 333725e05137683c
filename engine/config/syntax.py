"""What each statement of a config file reads and binds, by its syntax alone."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from engine.errors import ConfigError

BASE = "_base_"


class Statement(NamedTuple):
    """A top-level statement of a config file.

    Attributes:
        code: To execute it.
        line: Where it begins, from 1.
        reads: Names whose value it uses.
        base_reads: Names that it uses of the layers below, as ``_base_.name``.
        needs: Names that must have their value before it: those it reads, and those it changes.
        binds: Names that may have another value after it.
        needs_base: Whether it uses the layers below at all.
    """

    code: CodeType
    line: int
    reads: frozenset[str]
    base_reads: frozenset[str]
    needs: frozenset[str]
    binds: frozenset[str]
    needs_base: bool


def statements(source: str, path: Path) -> tuple[list[Statement], list[str]]:
    """Splits a config file.

    Args:
        source: Its text, with ``_base_.name`` for each placeholder.
        path: The file, for messages.

    Returns:
        Its statements but for that which gives ``_base_``, and the files that one names.

    Raises:
        ConfigError: If ``_base_`` is no list, or a placeholder stands inside a string, where it
            would stay as it is.
    """
    found = []
    bases: list[str] = []
    for node in ast.parse(source, str(path)).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == BASE:
            bases = _bases(node, path)
        else:
            found.append(_statement(node, path))
    return found, bases


def _bases(node: ast.Assign, path: Path) -> list[str]:
    try:
        names = eval(compile(ast.Expression(node.value), str(path), "eval"))
    except Exception as error:
        raise ConfigError(
            f"{path}, line {node.lineno}: {BASE} is a list of file names, which nothing before it "
            f"can help to make: {error}."
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
