"""The worked examples of CONTRIBUTING.md run as they stand there, and stay short."""

import re

import pytest

from engine.data import FIELDS
from tests.conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"### ([^\n]+)\n.*?```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("title, code", EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_the_example_runs(title, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(code.splitlines()) < 40
    rows = dict(FIELDS)
    try:
        exec(compile(code, f"CONTRIBUTING.md: {title}", "exec"), {"__name__": "__main__"})
    finally:
        FIELDS.clear()
        FIELDS.update(rows)


def test_there_is_one_for_each_kind():
    assert [title for title, _ in EXAMPLES] == ["A dataset", "A head", "A task"]
