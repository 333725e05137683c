"""What of a prediction is written, and in which form, is the user's choice."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.errors import ConfigError
from engine.model.base import build_model
from mmsapiens.cli import dispatch
from mmsapiens.shipped import find_config

PARTS = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
DEPTH = "depth/synthetic/sapiens_tiny_synthetic_depth-192x144"


@pytest.fixture
def infer(tmp_path):
    """Runs the command on one picture; returns the names of what it writes, and the folder."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/a.png"), rng.integers(0, 256, (90, 70, 3), np.uint8))

    def run(config, *words):
        cfg = load_config(find_config(config), {"input_size_hw": (64, 64)})
        init_default_scope(cfg.default_scope)
        torch.manual_seed(0)
        checkpoint, out = tmp_path / "model.pth", tmp_path / "out"
        torch.save(build_model(cfg.model).state_dict(), checkpoint)
        words = ["--input", tmp_path / "in", "--output", out, "--num-workers", 0, *words]
        options = ["--cfg-options", "input_size_hw=(64,64)", "model.eval_dtype=float32"]
        assert dispatch(["infer", config, *map(str, [checkpoint, *words]), *options]) == 0
        return sorted(path.name for path in out.glob("[!.]*")), out

    return run


def test_masks_and_pictures_have_the_format_that_is_asked_for(infer):
    names, out = infer(
        PARTS,
        "--save",
        "labels, foreground,picture",
        "--mask-format",
        "png",
        "--picture-format",
        "jpg",
    )
    assert names == ["a.jpg", "a_mask.png", "a_seg.png"]
    labels = cv2.imread(str(out / "a_seg.png"), cv2.IMREAD_UNCHANGED)
    mask = cv2.imread(str(out / "a_mask.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (90, 70) and labels.max() < 19
    np.testing.assert_array_equal(mask, 255 * (labels > 0))


def test_probabilities_are_of_the_size_of_the_head(infer):
    names, out = infer(PARTS, "--save", "probabilities,labels")
    assert names == ["a_prob.npy", "a_seg.npy"]
    probabilities, labels = (np.load(out / name) for name in names)
    assert probabilities.dtype == np.float16 and probabilities.shape[0] == 19
    np.testing.assert_allclose(probabilities.sum(axis=0, dtype=np.float32), 1, atol=0.01)
    # Of the same picture at the size of the input, and from there to that of the image.
    size = probabilities.shape[1:]
    logits = torch.from_numpy(probabilities.astype(np.float32)).log()[None]
    for size_hw in ((64, 64), (90, 70)):
        logits = torch.nn.functional.interpolate(logits, size_hw, mode="bilinear")
    assert size == (16, 16) and (logits[0].argmax(0).numpy() == labels).mean() > 0.9


def test_a_map_alone_is_written_alone(infer):
    names, out = infer(DEPTH, "--save", "map")
    assert names == ["a.npy"] and np.load(out / "a.npy").shape == (90, 70)
    assert infer(DEPTH)[0] == ["a.npy", "a.png"]


@pytest.mark.parametrize(
    ("config", "words", "text"),
    [
        (PARTS, ["--save", "lables"], "save is of labels, .*found 'lables'. Did you mean"),
        (DEPTH, ["--save", "labels"], "save is of map, picture; found 'labels'"),
        (DEPTH, ["--mask-format", "png"], "--mask-format: DepthWriter has no such option"),
    ],
)
def test_what_the_task_does_not_have_is_said(infer, config, words, text):
    with pytest.raises(ConfigError, match=text):
        infer(config, *words)


@pytest.mark.parametrize("option", ["--save", "--output"])
def test_an_empty_option_is_none(infer, capsys, option):
    with pytest.raises(SystemExit, match="2"):
        infer(PARTS, option, "")
    assert f"argument {option}: expected" in capsys.readouterr().err
