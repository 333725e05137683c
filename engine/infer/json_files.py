"""JSON files that may be longer than memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.infer.unfinished import complete


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file in UTF-8, which appears when it is complete.

    An object's values may be iterators, of lists too long for memory.
    """
    with complete(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.writelines(_pieces(content))


def _pieces(content: Any) -> Iterator[str]:
    if isinstance(content, Iterator):
        yield "["
        for i, item in enumerate(content):
            yield (", " if i else "") + json.dumps(item, ensure_ascii=False)
        yield "]"
    elif isinstance(content, Mapping) and any(isinstance(v, Iterator) for v in content.values()):
        yield "{"
        for i, (key, value) in enumerate(content.items()):
            yield (", " if i else "") + json.dumps(key, ensure_ascii=False) + ": "
            yield from _pieces(value)
        yield "}"
    else:
        yield json.dumps(content, ensure_ascii=False)
