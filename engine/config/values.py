"""Whether a value of a config is what the annotation of the argument says, and in its range.

A dict stands for what a registry will make of it, and a list for a tuple. Of an annotation other
than those below, such as a type variable, nothing is expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import torch

from engine.config.keys import unknown_keys
from engine.errors import shorten

# What a config gives by its name.
_NAMED = (PathLike, torch.dtype, torch.device)
_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    NoneType: ("None", lambda value: value is None),
    bool: ("True or False", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: ("a number", lambda value: _is_number(value)),
    str: ("a text", lambda value: isinstance(value, (str, PathLike))),
}


class Range(NamedTuple):
    """The lowest and the highest that a number may be, as in ``Annotated[int, Range(1)]``."""

    lowest: float = -math.inf
    highest: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether the number is one of these; an infinite one never is."""
        return math.isfinite(value) and self.lowest <= value <= self.highest

    def __str__(self) -> str:
        if self.highest == math.inf:
            return f">= {self.lowest}"
        return f"in [{self.lowest}, {self.highest}]"


def problems(place: str, value: Any, hint: Any) -> list[str]:
    """Compares a value with an annotation.

    Args:
        place: Dotted key of the value, for the messages.
        value: As a config gives it.
        hint: As a signature gives it, resolved: no strings.

    Returns:
        What does not fit, the value or what it holds, a sentence each; nothing if all does.
    """
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return _of_options(place, value, hint, args)
    if is_typeddict(hint) and isinstance(value, Mapping):
        return _of_keys(place, value, hint)
    if origin is Annotated:
        base, *limits = args
        ranges = [limit for limit in limits if isinstance(limit, Range)]
        if problems(place, value, base) or not all(limit.holds(value) for limit in ranges):
            return [_unexpected(place, value, hint)]
        keys = limits if isinstance(value, Mapping) else []
        return [p for limit in keys if is_typeddict(limit) for p in problems(place, value, limit)]
    if not _is_of_kind(value, origin, args):
        return [_unexpected(place, value, hint)]
    return [p for items in _items(place, value, origin, args) for p in problems(*items)]


def describe(hint: Any) -> str:
    """Says in words what an annotation expects."""
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(describe, args)))
    if origin is Annotated:
        return " ".join(map(str, [describe(args[0]), *(x for x in args[1:] if type(x) is Range)]))
    if origin is Literal:
        return f"one of {', '.join(map(repr, args))}"
    if origin in _PLAIN:
        return _PLAIN[origin][0]
    if _is_tuple(origin, args):
        return f"({', '.join(map(describe, args))})"
    if origin is Callable:
        return "a function"
    if not isinstance(origin, type):
        return "a value"
    if _is_list(origin):
        return f"a list, each item {describe(args[0])}" if args and args[0] is not Any else "a list"
    return "a name" if issubclass(origin, _NAMED) else "a dict"


def _of_options(place: str, value: Any, hint: Any, options: Iterable[Any]) -> list[str]:
    found = [(problems(place, value, option), option) for option in options]
    if not all(texts for texts, _ in found):
        return []
    # One that is wrong only inside is the one that was meant.
    inner = [texts for texts, option in found if texts != [_unexpected(place, value, option)]]
    return inner[0] if inner else [_unexpected(place, value, hint)]


def _of_keys(place: str, value: Mapping[str, Any], hint: Any) -> list[str]:
    hints = get_type_hints(hint, include_extras=True)
    found = [f"{place}: {text}" for text in unknown_keys(value, hints)]
    for key in sorted(hint.__required_keys__ - value.keys()):
        found.append(f"{place}: {key} is missing, {describe(hints[key])}.")
    for key in value.keys() & hints.keys():
        found += problems(f"{place}.{key}", value[key], hints[key])
    return found


def _is_of_kind(value: Any, origin: Any, args: tuple[Any, ...]) -> bool:
    if origin is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if origin in _PLAIN:
        return _PLAIN[origin][1](value)
    if _is_tuple(origin, args):
        return isinstance(value, (list, tuple)) and len(value) == len(args)
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Mapping) or is_typeddict(origin):
        return isinstance(value, Mapping)
    if _is_list(origin):
        return isinstance(value, (list, tuple, set, frozenset, range))
    if isinstance(value, str) and issubclass(origin, _NAMED):
        return True
    try:
        return isinstance(value, (Mapping, origin))
    except TypeError:  # a protocol that cannot be asked
        return True


def _items(
    place: str, value: Any, origin: Any, args: tuple[Any, ...]
) -> Iterator[tuple[str, Any, Any]]:
    """Yields place, value and annotation of what a value holds."""
    if isinstance(value, Mapping) and len(args) == 2:
        for key, item in value.items():
            name = f".{key}" if str(key).isidentifier() else f'["{key}"]'
            yield f"{place}{name}", item, args[1]
    elif isinstance(value, (list, tuple)) and args and (origin is tuple or _is_list(origin)):
        hints = args if _is_tuple(origin, args) else args[:1] * len(value)
        for index, (item, hint) in enumerate(zip(value, hints, strict=True)):
            yield f"{place}[{index}]", item, hint


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and not math.isnan(value)


def _is_tuple(origin: Any, args: tuple[Any, ...]) -> bool:
    """Whether it is a tuple of so many items."""
    return origin is tuple and bool(args) and args[-1] is not ...


def _is_list(origin: Any) -> bool:
    if not isinstance(origin, type) or origin.__module__ not in ("builtins", "collections.abc"):
        return False
    return issubclass(origin, Iterable) and not issubclass(origin, Mapping)


def _unexpected(place: str, value: Any, hint: Any) -> str:
    return f"{place}: expected {describe(hint)}, found {shorten(value)}."
