"""The code of docs/python.md runs as it stands there."""

import re

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.model.base import build_model
from mmsapiens.shipped import find_config

FACES = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"


def test_the_page_runs(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (root / "docs/python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    paths = {FACES: "work_dirs/faces/epoch_12.pth"}
    paths |= dict(re.findall(r'\("(pose/\S+)", "(\S+)"\)', page))
    for name, path in paths.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        cfg = load_config(find_config(name))
        init_default_scope(cfg.default_scope)
        torch.save(build_model(cfg.model).state_dict(), path)
    base = find_config(FACES).as_posix()
    (tmp_path / "work_dirs/faces/face.py").write_text(f"_base_ = [{base!r}]")
    (tmp_path / "photos").mkdir()
    cv2.imwrite("photos/a.jpg", np.full((90, 70, 3), 128, np.uint8))
    (tmp_path / "photos/b.jpg").write_bytes(b"no image")
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.npy", "a.png", "a_seg.npy",
    ]  # fmt: skip
    said = capsys.readouterr().out
    assert "a.jpg (90, 70)" in said and "nose [" in said
