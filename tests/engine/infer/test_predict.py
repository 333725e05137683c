"""A model for predictions: of its checkpoint alone, and with what that says of its dataset."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from engine.errors import WeightsError
from engine.infer import init_model
from engine.model.base import build_model
from mmsapiens.cli import run_main
from tests.conftest import BARE


@pytest.fixture
def cfg(face_config):
    return face_config(**BARE)


@pytest.fixture
def checkpoint(cfg):
    init_default_scope("seg")
    return {"state_dict": build_model(cfg.model).state_dict(), "meta": {}}


def predictor(cfg, checkpoint, tmp_path, **meta):
    torch.save({**checkpoint, "meta": {"dataset_meta": meta}}, tmp_path / "a.pth")
    return init_model(cfg, str(tmp_path / "a.pth"), "cpu")


def test_a_model_predicts_in_evaluation_mode(cfg, checkpoint, tmp_path):
    model, _ = predictor(cfg, checkpoint, tmp_path)
    assert not any(module.training for module in model.modules())


def test_what_a_checkpoint_says_of_its_dataset_completes_the_configs(cfg, checkpoint, tmp_path):
    _, of_config = predictor(cfg, checkpoint, tmp_path)
    names = [f"class {i}" for i in range(19)]
    _, meta = predictor(cfg, checkpoint, tmp_path, classes=names)
    assert meta["classes"] == names and meta["palette"] == of_config["palette"]
    palette = np.arange(57, dtype=np.uint8).reshape(19, 3)
    _, meta = predictor(cfg, checkpoint, tmp_path, classes=names, palette=palette)
    assert np.array_equal(meta["palette"], palette)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"classes": 19}, "its classes are 19. Expected a list of names"),
        ({"classes": ["hair", 2]}, r"its classes are \['hair', 2\]"),
        ({"classes": ["hair"]}, "its meta names 1 classes, and the config's dataset 19"),
        ({"palette": [[1, 2]] * 19}, "its palette is .*Expected a colour"),
        ({"palette": [[1, 2, 300]] * 19}, "its palette is "),
        ({"palette": "red"}, "its palette is 'red'"),
        ({"classes": ["hair"] * 19, "palette": [[1, 2, 3]] * 2}, "of each of 19 classes"),
        ({7: "x"}, r"meta\['dataset_meta'\] is "),
    ],
)
def test_a_checkpoint_that_says_nonsense_of_its_dataset(cfg, checkpoint, tmp_path, meta, message):
    torch.save({**checkpoint, "meta": {"dataset_meta": meta}}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=rf"a\.pth: .*{message}"):
        init_model(cfg, str(tmp_path / "a.pth"), "cpu")


def test_weights_that_are_no_numbers_end_the_command(cfg, checkpoint, tmp_path, capsys):
    for tensor in checkpoint["state_dict"].values():
        tensor.fill_(float("nan"))
    with pytest.raises(SystemExit) as end:
        run_main(lambda: predictor(cfg, checkpoint, tmp_path))
    said = capsys.readouterr().err
    assert end.value.code == 2 and "Traceback" not in said
    assert "infinite or not a number (NaN): backbone.pos_embed" in said


def test_weights_in_half_precision_predict_what_autocast_predicts(face_config, tmp_path):
    cfg = face_config(model__eval_dtype="bfloat16")
    init_default_scope("seg")
    usual = build_model(cfg.model).eval()
    torch.save(usual.state_dict(), tmp_path / "model.pth")
    model, _ = init_model(cfg, str(tmp_path / "model.pth"), "cpu")
    assert model.backbone.layers[0].ffn.layers[1].weight.dtype is torch.bfloat16
    assert model.backbone.pos_embed.dtype is torch.float32
    images = torch.rand(2, 3, 64, 48)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(images), usual(images), rtol=0, atol=0)
