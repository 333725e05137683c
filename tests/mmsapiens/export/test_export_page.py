"""The code of docs/export.md runs as it stands there."""

import re

import torch
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.model.base import build_model
from mmsapiens.shipped import find_config


def test_the_page_runs(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (root / "docs/export.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (name, path) = re.findall(r'\("(\S+)", "(\S+)"\)\)', block)[0]
    cfg = load_config(find_config(name))
    init_default_scope(cfg.default_scope)
    torch.save(build_model(cfg.model).state_dict(), path)
    names: dict = {}
    exec(block, names)
    assert "'channels': 1" in capsys.readouterr().out
    assert type(names["again"]) is type(names["model"])
