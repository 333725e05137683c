"""The values of ``--cfg-options``: Python's literals, whose strings need no quotes.

    5  1e-4  true  None  some text  'quoted, text'  a,b  [a, b]  (1, 2)  dict(type=X, n=[1])  {a: 1}

Unlike MMEngine's, spaces stay, and dicts can be said.
"""

from __future__ import annotations

import ast
from typing import Any

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_WORDS = {"true": True, "True": True, "false": False, "False": False, "None": None}


def read_value(text: str) -> Any:
    """Reads a value; several of them, with commas between, are a list.

    Raises:
        ValueError: A bracket or a quote is not closed, or what a dict holds is no pair.
    """
    values = _read_items(text)
    if len(values) > 1 or text.rstrip().endswith(","):
        return values
    return values[0] if values else ""


def _read_items(text: str) -> list[Any]:
    return [_read_item(item) for item in _split_at_commas(text)]


def _read_item(text: str) -> Any:
    if text[:1] in ("'", '"'):
        return _read_quoted(text)
    if text.startswith("[") and text.endswith("]"):
        return _read_items(text[1:-1])
    if text.startswith("(") and text.endswith(")"):
        return tuple(_read_items(text[1:-1]))
    if text.startswith("dict(") and text.endswith(")"):
        return _read_pairs(text[5:-1], "=")
    if text.startswith("{") and text.endswith("}"):
        return _read_pairs(text[1:-1], ":")
    return _read_word(text)


def _read_pairs(text: str, sign: str) -> dict[Any, Any]:
    pairs = {}
    for pair in _split_at_commas(text):
        key, found, value = pair.partition(sign)
        if not found:
            raise ValueError(f"{pair!r} is no pair of a key and a value, with {sign!r} between")
        pairs[_read_item(key.strip())] = _read_item(value.strip())
    return pairs


def _read_quoted(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{text} does not end with the quote that it begins with") from error


def _read_word(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return _WORDS.get(text, text)


def _split_at_commas(text: str) -> list[str]:
    """Splits at the commas outside of brackets and quotes; a comma may end the list.

    A quote is one only where a value begins: elsewhere it is a letter, as in ``/data/it's``.
    """
    items, begin, closing, quote = [], 0, "", ""
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[position - 1] != "\\" else quote
        elif letter in "'\"" and text[:position].rstrip()[-1:] in ("", *"([{,=:"):
            quote = letter
        elif letter in _CLOSING:
            closing = _CLOSING[letter] + closing
        elif letter in _CLOSING.values():
            if not closing.startswith(letter):
                raise ValueError(f"{letter!r} closes nothing. Put quotes around text that holds it")
            closing = closing[1:]
        elif letter == "," and not closing:
            items.append(text[begin:position].strip())
            begin = position + 1
    if closing or quote:
        raise ValueError(
            f"{quote or closing[0]!r} is missing. Put quotes around text with brackets"
        )
    last = text[begin:].strip()
    return [*items, last] if last else items
