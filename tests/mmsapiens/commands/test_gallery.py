"""A sheet of what several models see in an image."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import mmsapiens
from engine.config import load_config
from engine.errors import ConfigError
from engine.model.base import build_model
from mmsapiens.cli import dispatch
from mmsapiens.commands.gallery import sheet
from mmsapiens.shipped import find_config
from tests.mmsapiens.predictors.test_predictors import CONFIGS, SMALL


@pytest.fixture
def trained(tmp_path):
    """Makes a checkpoint of a task with its config beside it."""

    def make(task):
        cfg = load_config(find_config(CONFIGS[task]), SMALL)
        init_default_scope(cfg.default_scope)
        torch.manual_seed(0)
        (tmp_path / task).mkdir()
        torch.save({"state_dict": build_model(cfg.model).state_dict()}, tmp_path / task / "a.pth")
        cfg.dump(tmp_path / task / "config.py")
        return tmp_path / task / "a.pth"

    return make


def test_tiles_are_what_the_models_draw_of_the_image(trained, tmp_path, capsys):
    image = np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    models = [trained("depth"), trained("parts")]
    out = tmp_path / "out/sheet.png"
    words = ["gallery", tmp_path / "a.png", *models, "--output", out, "--height", 60]
    assert dispatch([*map(str, words), "--device", "cpu"]) == 0
    assert "3 tiles" in capsys.readouterr().out
    found = cv2.imread(str(out))[-60:]
    assert found.shape == (60, 3 * 40 + 2 * 4, 3)
    np.testing.assert_array_equal(found[:, :40], image)
    depth, parts = (mmsapiens.load(model, device="cpu")(tmp_path / "a.png") for model in models)
    np.testing.assert_array_equal(found[:, 44:84], depth.tile(parts.foreground)[..., ::-1])
    np.testing.assert_array_equal(found[:, 88:], parts.plot()[:, :40, ::-1])
    assert 0 < parts.foreground.mean() < 1
    background = depth.tile(parts.foreground)[~parts.foreground]
    assert (background == background[0]).all() and (depth.tile() != background[0]).any(2).all()


def test_pictures_of_any_size_become_one_height():
    tiles = [("a", np.full((10, 20, 3), 9, np.uint8)), ("b", np.full((200, 100, 3), 7, np.uint8))]
    assert sheet(tiles, 50).shape == (78, 100 + 4 + 25, 3)


def test_another_suffix_is_refused_before_any_model_is_loaded(tmp_path):
    with pytest.raises(ConfigError, match=r"sheet\.gif: expected a name that ends with"):
        dispatch(["gallery", "a.png", "nothing", "--output", str(tmp_path / "sheet.gif")])
