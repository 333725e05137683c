"""Strips of input | masked | reconstruction, by the training and by ``mmsapiens reconstruct``."""

import runpy
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData

from engine.data import DataSample
from engine.runner import Runner
from pretrain.pictures import GREY, MAEVisualizer, draw_strip


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


@pytest.fixture
def sample():
    """Patches of 16 x 16: the upper right one was removed."""
    made_up = torch.arange(3, dtype=torch.uint8).view(3, 1, 1).expand(3, 32, 32)
    sample = DataSample()
    sample.reconstruction = PixelData(data=made_up)
    sample.patch_mask = PixelData(data=torch.tensor([[[0, 1], [0, 0]]], dtype=torch.uint8))
    return sample


@pytest.mark.parametrize("paste_visible", [False, True])
def test_a_strip_shows_the_image_what_was_kept_and_the_prediction(image, sample, paste_visible):
    picture = draw_strip(image, sample, paste_visible)
    given, masked, predicted = np.split(picture, 3, axis=1)
    removed = np.zeros((32, 32), bool)
    removed[:16, 16:] = True
    assert np.array_equal(given, image)
    assert (masked[removed] == GREY).all() and np.array_equal(masked[~removed], image[~removed])
    assert (predicted[removed] == (0, 1, 2)).all()
    expected = image[~removed] if paste_visible else np.broadcast_to((0, 1, 2), (768, 3))
    assert np.array_equal(predicted[~removed], expected)


def test_the_visualizer_scales_down_and_draws_samples_without_a_prediction(image, sample):
    visualizer = MAEVisualizer("test_visualization", max_height=16)
    assert visualizer.draw(image, sample).shape == (16, 48, 3)
    assert visualizer.draw(image, DataSample()).shape == (16, 16, 3)


def test_training_draws_the_first_samples_of_a_batch(mae_config, tmp_path):
    hook = {"type": "PicturesHook", "num_samples": 1, "train_interval": 2}
    cfg = mae_config(train_cfg__max_epochs=1, custom_hooks=[hook], optim_wrapper__dtype="float32")
    cfg.work_dir, cfg.experiment_name = str(tmp_path / "work"), str(tmp_path)
    runner = Runner.from_cfg(cfg)
    seen = []
    runner.model.backbone.register_forward_hook(
        lambda module, inputs, _: seen.append((module.training, len(inputs[0])))
    )
    runner.train()
    # Of the second batch one image is drawn, in evaluation mode; only that one is computed again.
    assert seen == [(True, 2), (True, 2), (False, 1), (True, 2)]
    paths = sorted((tmp_path / "work").rglob("train_*.png"))
    assert [path.name for path in paths] == ["train_0_2.png"]
    masked = np.split(cv2.imread(str(paths[0])), 3, axis=1)[1]
    patches = masked.reshape(2, 16, 2, 16, 3).transpose(0, 2, 1, 3, 4).reshape(4, -1)
    assert sum((patch == GREY).all() for patch in patches) == 3


@pytest.fixture
def reconstruct(mae_config, tmp_path, monkeypatch, capsys, root):
    """Runs the verb on an untrained model; returns exit code and what it printed."""

    def run(*args):
        cfg = mae_config()
        cfg.dump(tmp_path / "mae.py")
        init_default_scope("pretrain")
        torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / "mae.pth")
        command = ["reconstruct.py", tmp_path / "mae.py", tmp_path / "mae.pth"]
        command += ["--output", tmp_path / "out", *args]
        monkeypatch.setattr(sys, "argv", [str(word) for word in command])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(root / "tools/reconstruct.py"), run_name="__main__")
        return end.value.code, "".join(capsys.readouterr())

    return run


def test_the_tool_draws_a_row_a_ratio_and_passes_over_a_broken_image(
    reconstruct, images_dir, tmp_path
):
    (images_dir / "broken.png").write_bytes(b"no image")
    code, printed = reconstruct("--input", images_dir, "--mask-ratios", 0.25, 0.75)
    assert code == 1 and "6 of 7 images done" in printed and "broken.png" in printed
    picture = cv2.imread(str(tmp_path / "out" / "3.png"))
    assert picture.shape == (64, 96, 3)
    masked = picture[:, 32:64]
    removed = [(rows == GREY).all(axis=-1) for rows in (masked[:32], masked[32:])]
    assert [int(r.sum()) // 256 for r in removed] == [1, 3]
    assert removed[1][removed[0]].all(), "higher ratios remove the same patches and more"


def test_the_tool_draws_the_masks_of_its_seed(reconstruct, images_dir, tmp_path):
    pictures = []
    for seed in (0, 1, 1):
        code, printed = reconstruct("--input", images_dir, "--mask-ratios", 0.5, "--seed", seed)
        assert code == 0, printed
        pictures.append(
            [cv2.imread(str(tmp_path / "out" / f"{i}.png"))[:, 32:64] for i in range(6)]
        )
    assert np.array_equal(pictures[1], pictures[2]) and not np.array_equal(*pictures[:2])


@pytest.mark.parametrize("ratio", [1, 0.9, -0.1])
def test_the_tool_refuses_ratios_that_keep_nothing(reconstruct, images_dir, ratio):
    code, printed = reconstruct("--input", images_dir, "--mask-ratios", ratio)
    assert code == 2 and f"mask_ratio={float(ratio)} keeps none of 4 patches" in printed


def test_the_tool_does_not_overwrite_its_input(reconstruct, images_dir, tmp_path):
    images_dir.rename(tmp_path / "out")
    before = (tmp_path / "out" / "0.png").read_bytes()
    code, printed = reconstruct("--input", tmp_path / "out" / "0.png", "--mask-ratios", 0.5)
    assert code == 1 and "would overwrite the image" in printed
    assert (tmp_path / "out" / "0.png").read_bytes() == before


@pytest.mark.parametrize("paste_visible", [False, True])
def test_the_visualizer_pastes_what_is_visible_if_asked_to(image, sample, paste_visible):
    visualizer = MAEVisualizer(f"paste {paste_visible}", paste_visible=paste_visible)
    expected = draw_strip(image, sample, paste_visible)
    assert np.array_equal(visualizer.draw(image, sample), expected)


def test_the_tool_pastes_what_is_visible_if_asked_to(reconstruct, images_dir, tmp_path):
    code, _ = reconstruct("--input", images_dir / "0.png", "--mask-ratios", 0.5, "--paste-visible")
    given, masked, predicted = np.split(cv2.imread(str(tmp_path / "out" / "0.png")), 3, axis=1)
    kept = (masked != GREY).any(axis=-1)
    assert code == 0 and np.array_equal(predicted[kept], given[kept])
    assert not np.array_equal(predicted[~kept], given[~kept])
