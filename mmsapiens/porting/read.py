"""Reads the config of a stranger: what does more than make values is refused, not executed."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from typing import Any

from engine.config.binding import read_unbound
from engine.config.sources import BASE, parse
from engine.errors import ConfigError

_STATEMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete, ast.Expr, ast.For, ast.If)
_EXPRESSIONS_NOT = (ast.Lambda, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
_FUNCTIONS = (
    *(abs, all, any, bool, dict, enumerate, float, int, len, list, max, min, range, reversed),
    *(round, set, sorted, str, sum, tuple, zip),
)
_FUNCTION_NAMES = {function.__name__ for function in _FUNCTIONS}
_METHODS = {
    *("append", "copy", "extend", "get", "insert", "items", "join", "keys", "lower", "pop"),
    *("remove", "replace", "split", "strip", "update", "upper", "values"),
}


def read_foreign(path: Path) -> dict[str, Any]:
    """Reads a Python config of MMEngine and its bases, as MMEngine does.

    Statements may assign what literals, arithmetic, comprehensions and the constructors of plain
    types make; so that whatever a file says, to read it runs nothing of it.

    Returns:
        All values by name.

    Raises:
        ConfigError: If there is no such file, it is no Python, or holds anything else.
    """
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError(f"{path} is no Python config (a file that ends in .py).")
    try:
        top = parse(path)
    except (FileNotFoundError, SyntaxError) as error:
        raise ConfigError(f"{path}: {error}. It, and all of its bases, must be there.") from error
    for layer in top:
        for statement in layer.statements:
            for node in ast.walk(statement.node):
                if not _makes_values(node):
                    raise ConfigError(
                        f"{layer.path}, line {getattr(node, 'lineno', statement.line)}: "
                        f"`{_first_line(node)}` may do more than make values, and is not run. "
                        "Write down what it comes to, and try again."
                    )
    return read_unbound(top)


def _makes_values(node: ast.AST) -> bool:
    """Whether a node of the syntax, apart from those within it, can only make values."""
    if isinstance(node, ast.stmt):
        return isinstance(node, _STATEMENTS)
    if isinstance(node, ast.Name):
        if node.id.startswith("__"):
            return False
        if isinstance(node.ctx, ast.Load):
            return node.id in _FUNCTION_NAMES or node.id not in vars(builtins)
        return (
            node.id not in _FUNCTION_NAMES
        )  # that name stands for the builtin wherever it is called
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            return node.func.id in _FUNCTION_NAMES
        return isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS
    if isinstance(node, ast.Attribute):
        is_of_base = ast.unparse(node).startswith(f"{BASE}.")
        return node.attr in _METHODS or (is_of_base and not node.attr.startswith("_"))
    return not isinstance(node, _EXPRESSIONS_NOT)


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0]
