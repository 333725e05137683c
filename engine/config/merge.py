"""How what one layer of a config says is merged over what the layers below it say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.errors import ConfigError

DELETE = "_delete_"


def merge(upper: Any, lower: Any, where: str = "", keep_delete: bool = False) -> Any:
    """Returns what ``upper`` makes of ``lower``; neither is changed, nothing is shared with them.

    Dicts are merged key by key, unless the upper one says ``_delete_=True`` or the lower is None
    or a string, the name of what the upper spells out. A dict whose keys are indices changes these
    items of a list. Anything else replaces what is below. Merging the same twice is merging it
    once.

    Args:
        upper: What the upper layer says.
        lower: What it is said about.
        where: Dotted key of both, for the message.
        keep_delete: The result is itself to be merged over a third layer; so where something was
            replaced, that which the third layer has there is to be replaced too.

    Raises:
        ConfigError: If a dict meets something that it can neither be merged with nor replace.
    """
    if not isinstance(upper, dict):
        return _copied(upper)
    if upper.get(DELETE) or lower is None or isinstance(lower, str):
        replaced = {key: _copied(value) for key, value in upper.items() if key != DELETE}
        return {DELETE: True, **replaced} if keep_delete else replaced
    if isinstance(lower, (list, tuple)) and upper and all(map(_is_index, upper)):
        return _with_items(upper, lower, where, keep_delete)
    if not isinstance(lower, dict):
        raise ConfigError(
            f"{where}: one layer gives a dict here, and another one below it {lower!r}. Add "
            f"{DELETE}=True to the dict if it is to replace that."
        )
    merged = _copied(lower)
    for key, value in upper.items():
        if key in lower:
            merged[key] = merge(value, lower[key], f"{where}.{key}".lstrip("."), keep_delete)
        elif key != DELETE:
            merged[key] = _copied(value)
    return merged


def without_delete(value: Any) -> Any:
    """Returns a copy without the ``_delete_`` that found nothing below them to replace."""
    if isinstance(value, dict):
        return {key: without_delete(item) for key, item in value.items() if key != DELETE}
    return _rebuilt(value, without_delete)


def _with_items(upper: dict, lower: list | tuple, where: str, keep_delete: bool) -> list | tuple:
    items = _copied(list(lower))
    for key, value in upper.items():
        if int(key) >= len(items):
            raise ConfigError(f"{where}.{key}: the list has {len(items)} items, from 0.")
        items[int(key)] = merge(value, items[int(key)], f"{where}.{key}", keep_delete)
    return type(lower)(items)


def _is_index(key: Any) -> bool:
    return isinstance(key, str) and key.isdigit()


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return _rebuilt(value, _copied)


def _rebuilt(value: Any, item_of: Callable[[Any], Any]) -> Any:
    # Exactly these: a named tuple or another class of a user's stays as it is.
    return type(value)(map(item_of, value)) if type(value) in (list, tuple) else value
