"""The matrix of exported files: each has its size, its time and the checkpoint's figure."""

import pytest
import torch
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.model.base import build_model
from mmsapiens.benchmarks.export import Kind, table
from mmsapiens.cli import dispatch
from mmsapiens.shipped import find_config
from tests.conftest import TINIEST_ARCH, face_options

CONFIG = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
SMALL = {"input_size_hw": (64, 48), "model.backbone.arch": TINIEST_ARCH}


@pytest.fixture
def checkpoint(tmp_path):
    cfg = load_config(find_config(CONFIG), SMALL)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    torch.save(build_model(cfg.model).state_dict(), tmp_path / "faces.pth")
    return tmp_path / "faces.pth"


def test_files_are_compared_with_the_model(checkpoint, faces_dir, capsys):
    of_data = {k: v for k, v in face_options(faces_dir).items() if "dataloader" in k}
    words = ["benchmark", "export", CONFIG, str(checkpoint), "--formats", "torchscript"]
    words += ["safetensors", "--dtypes", "float32", "--rounds", "1", "--device", "cpu"]
    options = [f"{k}={v}".replace(" ", "") for k, v in {**SMALL, **of_data}.items()]
    assert not dispatch([*words, "--cfg-options", *options])
    _, _, header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[-1] == "mIoU"
    eager, traced, weights = (row.split()[1:] for row in rows)
    assert eager[0] == "float32" and len(eager) == 3 and float(eager[1]) > 0
    assert float(traced[1]) < 1e-4 and float(traced[2]) > 0.1 and float(traced[3]) > 0
    assert len(weights) == 4, "weights alone are not timed"
    assert eager[-1] == traced[-1] == weights[-1], "the figure of all"


def test_what_runs_has_a_row_and_what_does_not_has_none():
    kinds = [Kind("eager", "float16"), Kind("compiled", "bfloat16"), Kind("onnx", "bfloat16")]
    *_, rule, row = table(kinds, {}, {kinds[1]: 0.0012}, {}).splitlines()
    assert rule.startswith("---") and row.split() == ["compiled", "bfloat16", "1.2"]
