"""From images on disk to a scored, visible result, by the command lines."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import face_options
from tests.mmsapiens.commands.conftest import run_verb

CONFIG = "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"


@pytest.fixture(scope="module")
def options(faces_dir):
    options = {"input_size_hw": (64, 48), **face_options(faces_dir)}
    return ["--cfg-options", *(f"{key}={value}".replace(" ", "") for key, value in options.items())]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, root, options):
    """A short training by the command line; returns its work dir."""
    work_dir = tmp_path_factory.mktemp("work")
    args = [root / CONFIG, "--work-dir", work_dir, "--seed", 3, *options]
    done = run_verb(work_dir, "train", *args)
    assert done.returncode == 0, done.stderr[-3000:]
    return work_dir


def score(output):
    return re.findall(r"mIoU: ([\d.]+)", output)[-1]


def test_test_repeats_the_score_and_writes_labels_and_pictures(
    trained, run, root, options, tmp_path
):
    (log,) = trained.glob("*/*.log")
    done = run(
        "test", root / CONFIG, trained / "epoch_2.pth",
        "--out", "labels", "--show-dir", "pictures", *options, "model.eval_dtype=bfloat16",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert score(done.stdout) == score(log.read_text())
    labels, pictures = sorted(tmp_path.glob("labels/*")), sorted(tmp_path.glob("pictures/*"))
    assert [p.name for p in labels] == [p.name for p in pictures] and len(labels) == 4
    label_map = np.asarray(Image.open(labels[0]))
    assert label_map.shape == (64, 64) and label_map.dtype == np.uint8 and label_map.max() < 19
    height, width = cv2.imread(str(pictures[0])).shape[:2]
    assert height == 64 and width > 3 * 64


def test_test_averages_over_views(trained, run, root, options):
    done = run("test", root / CONFIG, trained / "epoch_2.pth", "--tta", *options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "eval_dtype='float32'" in done.stdout, "as published figures are"
    assert re.search(r"test_views=dict\(\s*flip=True,\s*scales=\(\s*0.75", done.stdout)
    assert 0 <= float(score(done.stdout)) <= 100


def test_what_is_tested_comes_from_the_checkpoint(trained, run, root, options, tmp_path):
    """Also where the config lets a finetuning begin without a head."""
    weights = torch.load(trained / "epoch_2.pth", weights_only=False)["state_dict"]
    headless = {key: value for key, value in weights.items() if "decode_head" not in key}
    torch.save({"state_dict": headless, "meta": {}}, tmp_path / "headless.pth")
    allowed = "allow_missing=decode_head"
    done = run("test", root / CONFIG, "headless.pth", *options, allowed)
    assert done.returncode == 2, done.stdout[-2000:]
    assert "WeightsError" in done.stderr and "decode_head.conv_seg" in done.stderr


@pytest.fixture
def photos(tmp_path):
    """Images of several sizes and kinds in nested folders, one of them broken."""
    rng = np.random.default_rng(0)
    for name, size_hw in {"a.jpg": (90, 120), "sub/a.png": (64, 64), "sub/b.JPG": (50, 33)}.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size_hw, 3), np.uint8)).save(path)
    (tmp_path / "photos" / "sub" / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


def test_infer_writes_all_but_the_broken_image(trained, run, root, options, photos, tmp_path):
    done = run(
        "infer", root / CONFIG, trained / "epoch_2.pth", "--input", photos,
        "--output", "results", "--batch-size", 3, *options,
    )  # fmt: skip
    assert done.returncode == 1
    assert "broken.jpg" in done.stderr and "3 of 4 images done" in done.stdout
    results = tmp_path / "results"
    expected = {f"{stem}{end}" for stem in ("a", "sub/a", "sub/b") for end in OUTPUTS}
    assert {p.relative_to(results).as_posix() for p in results.rglob("[!.]*.*")} == expected
    seg_map, foreground = np.load(results / "a_seg.npy"), np.load(results / "a.npy")
    assert seg_map.shape == (90, 120) and seg_map.dtype == np.uint8
    assert foreground.dtype == bool and np.array_equal(foreground, seg_map > 0)
    assert np.load(results / "sub" / "b_seg.npy").shape == (50, 33)


OUTPUTS = ("_seg.npy", ".npy", ".png")


def test_infer_does_not_overwrite_its_input(trained, run, root, options, photos):
    done = run(
        "infer", root / CONFIG, trained / "epoch_2.pth", "--input", photos / "sub" / "a.png",
        "--output", photos / "sub", *options,
    )  # fmt: skip
    assert done.returncode == 2 and "would be overwritten" in done.stderr


def test_resume_goes_on(trained, run, root, options):
    done = run(
        "train", root / CONFIG, "--work-dir", trained, "--resume",
        *options, "train_cfg.max_epochs=3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resumed epoch: 2, iter: 6" in done.stdout
    assert Path(trained, "epoch_3.pth").is_file()


@pytest.mark.parametrize(
    "extra, message",
    [
        (["trian_cfg.max_epochs=1"], 'Did you mean "train_cfg"'),
        (["train_dataloader.dataset.data_root=nowhere"], "DATA_ROOT"),
        (["train_dataloader.dataset.pipeline.2.type=RandomResise"], "RandomResize"),
    ],
)
def test_wrong_configs_end_in_one_sentence(run, root, extra, message):
    done = run("train", root / CONFIG, "--cfg-options", *extra)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert re.search(message, done.stderr.replace("\n", " ")), done.stderr
