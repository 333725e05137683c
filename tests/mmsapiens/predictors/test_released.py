"""Released models by name: from the release's tree, TorchScript, the hub, or their file alone."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import mmsapiens
from engine.config import load_config
from engine.errors import ConfigError, WeightsError
from engine.model.base import build_model
from mmsapiens.cli import dispatch
from mmsapiens.hub import sources
from mmsapiens.shipped import find_config
from mmsapiens.sources import find_model
from mmsapiens.zoo import find
from tests.conftest import TINIEST_ARCH
from tests.mmsapiens.hub_server import File, Hub
from tests.torchscript_files import save_torchscript

HEAD = {"deconv_out_channels": (8, 8), "deconv_kernel_sizes": (4, 4)}
HEAD |= {"conv_out_channels": (8,), "conv_kernel_sizes": (1,)}
IMAGE = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)


def small(name):
    """Overrides that make a model tiny, and its tasks' head too."""
    options = {"input_size_hw": (64, 64), "model.backbone.arch": TINIEST_ARCH}
    part = {"pretrain": None, "pose": "head"}.get(find(name).task, "decode_head")
    if part:
        options |= {f"model.{part}.{key}": value for key, value in HEAD.items()}
    return options


def values(result):
    names = ("labels", "depth", "normals", "keypoints", "features")
    return next(getattr(result, name) for name in names if hasattr(result, name))


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SAPIENS_CHECKPOINT_ROOT", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path / "weights"


def make_model(name):
    cfg = load_config(find_config(find(name).config), small(name))
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    return build_model(cfg.model)


@pytest.mark.parametrize("what", ["parts", "depth", "normal", "pose-17", "pretrain"])
def test_a_model_is_the_same_wherever_its_weights_are(what, root, tmp_path, monkeypatch):
    name = f"sapiens-0.3b-{what}"
    released, model = find(name), make_model(name)
    tensors = model.state_dict()
    if what == "pretrain":  # the release's hold the backbone alone
        tensors = model.backbone.state_dict()
    tree = root / released.folder
    tree.mkdir(parents=True)
    arguments = {"options": small(name), "device": "cpu", "dtype": "float32"}

    path = tree / f"{released.stems[0]}.pth"
    torch.save({"state_dict": tensors, "meta": {}}, path)
    expected = values(mmsapiens.load(name, **arguments)(IMAGE))
    given = values(mmsapiens.load((released.config, path), **arguments)(IMAGE))
    np.testing.assert_array_equal(given, expected)

    content = path.read_bytes()
    path.unlink()
    if what != "pretrain":
        lite = tree / f"{released.stems[0]}_torchscript.pt2"
        save_torchscript(model, lite, torch.zeros(1, 3, 64, 64))
        np.testing.assert_array_equal(values(mmsapiens.load(name, **arguments)(IMAGE)), expected)
        lite.unlink()

    with Hub({next(sources(released, torchscript=False)): File(content)}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        np.testing.assert_array_equal(values(mmsapiens.load(name, **arguments)(IMAGE)), expected)
    assert path.read_bytes() == content


def test_a_name_is_enough_for_the_command(root, tmp_path, capsys):
    name = "sapiens-0.3b-depth"
    path = root / f"{find(name).stems[0]}.pth"
    root.mkdir()
    torch.save(make_model(name).state_dict(), path)
    cv2.imwrite(str(tmp_path / "a.png"), IMAGE)
    words = ["infer", name, "--input", tmp_path / "a.png", "--output", tmp_path / "out"]
    options = [f"{key}={value}".replace(" ", "") for key, value in small(name).items()]
    assert dispatch([*map(str, words), "--num-workers", "0", "--cfg-options", *options]) == 0
    assert np.load(tmp_path / "out/a.npy").shape == (90, 70)


def test_a_file_of_a_released_model_tells_its_config(root, tmp_path):
    released = find("sapiens-0.3b-normal")
    cfg = load_config(find_config(released.config))
    init_default_scope(cfg.default_scope)
    with torch.device("meta"):
        model = build_model(cfg.model)
    # All shapes of the model's, of which the file holds the bytes of one only.
    one = torch.zeros(max(value.numel() for value in model.state_dict().values()))
    shared = {key: one[: v.numel()].view(v.shape) for key, v in model.state_dict().items()}
    torch.save(shared, tmp_path / "renamed.pth")
    config, checkpoint = find_model(tmp_path / "renamed.pth")
    assert config == find_config(released.config) and checkpoint == tmp_path / "renamed.pth"

    torch.save(make_model("sapiens-0.3b-depth").state_dict(), tmp_path / "tiny.pth")
    with pytest.raises(ConfigError, match="no configs lie beside it, and it is of depth"):
        find_model(tmp_path / "tiny.pth")


def test_what_is_no_model_is_said(root, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="Did you mean 'sapiens-1b-parts'"):
        mmsapiens.load("sapiens-1b-part")
    with pytest.raises(ConfigError, match="is a config; give its checkpoint"):
        mmsapiens.load("face.py")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="sapiens-1b-parts"):
        mmsapiens.load("sapiens-1b-parts")
