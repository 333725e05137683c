"""Keypoints of images and videos by the command line."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, init_default_scope

from engine.config import load_config
from engine.errors import ConfigError
from mmsapiens.cli import dispatch
from tests.conftest import TINIEST_ARCH

CONFIG = "configs/pose/synthetic/sapiens_tiny_synthetic_coco-192x144.py"
TINY = f"""
_base_ = ["{{root}}/{CONFIG}"]
input_size_hw = (64, 48)
model = dict(
    backbone=dict(arch=dict(_delete_=True, **{TINIEST_ARCH})),
    head=dict(deconv_out_channels=(32, 32), conv_out_channels=(32,)),
)
"""


@pytest.fixture
def given(root, tmp_path):
    """A config whose model is tiny, and a checkpoint of it."""
    path, checkpoint = tmp_path / "tiny.py", tmp_path / "tiny.pth"
    path.write_text(TINY.replace("{root}", str(root)))
    cfg = load_config(path)
    init_default_scope("pose")
    torch.save({"state_dict": MODELS.build(cfg.model).state_dict(), "meta": {}}, checkpoint)
    return path, checkpoint


def test_images_with_boxes(run, given, tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("in/a.jpg", "in/sub/000000000042.png"):
        cv2.imwrite(str(tmp_path / name), np.full((60, 80, 3), 90, np.uint8))
    (tmp_path / "in" / "broken.jpg").write_bytes(b"")
    boxes = {"a.jpg": [[0, 0, 40, 60], [40, 0, 80, 60]], "000000000042.png": [[0, 0, 80, 60]]}
    (tmp_path / "boxes.json").write_text(json.dumps({**boxes, "broken.jpg": []}))
    done = run(
        "infer", *given, "--input", "in", "--output", "out", "--boxes", "boxes.json",
        "--style", "openpose", "--show-ids", "--num-workers", 1, "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-2000:]
    assert "broken.jpg" in done.stderr and "2 of 3 images done" in done.stdout
    names = {
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("[!.]*.*")
    }
    assert names == {
        "a.json", "a.png", "sub/000000000042.json", "sub/000000000042.png",
        "coco_results.json", "keypoint_set.json",
    }  # fmt: skip
    assert len(json.loads((tmp_path / "out" / "a.json").read_text())["instances"]) == 2
    results = json.loads((tmp_path / "out" / "coco_results.json").read_text())
    assert [row["image_id"] for row in results] == [1, 1, 42]


def test_ids_of_an_annotation_file_need_no_new_predictions(given, tmp_path, capfd):
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), np.full((60, 80, 3), 90, np.uint8))
    rows = [{"id": i, "file_name": f"{i}.jpg", "width": 80, "height": 60} for i in "ab"]
    for name, images in (("both.json", rows), ("one.json", rows[1:])):
        (tmp_path / name).write_text(json.dumps({"images": images}))
    words = ["infer", *map(str, given), "--input", str(tmp_path / "*.jpg"), "--device", "cpu"]
    words += ["--output", str(tmp_path / "out"), "--num-workers", "0"]
    with pytest.raises(ConfigError, match=r"1 of the images, such as a\.jpg"):
        dispatch([*words, "--annotations", str(tmp_path / "one.json")])
    assert dispatch(words) == 0
    assert dispatch([*words, "--annotations", str(tmp_path / "both.json")]) == 0
    assert "2 of 2 images are done already" in capfd.readouterr().err
    results = json.loads((tmp_path / "out" / "coco_results.json").read_text())
    assert [row["image_id"] for row in results] == ["a", "b"]


def test_the_whole_image_is_said_once(run, given, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), np.full((60, 80, 3), 90, np.uint8))
    done = run("infer", *given, "--input", "*.jpg", "--output", "out", "--device", "cpu")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("taken for one person") == 1
    (person,) = json.loads((tmp_path / "out" / "a.json").read_text())["instances"]
    assert person["bbox"] == [0, 0, 80, 60]
    assert len(person["keypoints"]) == 17


def test_a_video_that_ends_early_is_no_success(given, tmp_path, capfd):
    path = tmp_path / "a.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for frame in np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), np.uint8):
        video.write(frame)
    video.release()
    words = ["infer", *map(str, given), "--input", str(path), "--output", str(tmp_path / "out")]
    assert dispatch([*words, "--device", "cpu", "--smooth", "--format", "release"]) == 0
    assert "4 frames done" in capfd.readouterr().out
    frames = json.loads((tmp_path / "out" / "a.json").read_text())["instance_info"]
    assert [[p["track_id"] for p in frame["instances"]] for frame in frames] == [[1]] * 4
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert dispatch([*words, "--device", "cpu"]) == 1
    out, err = capfd.readouterr()
    num = len(json.loads((tmp_path / "out" / "a.json").read_text())["frames"])
    assert f"{num} frames done" in out and 0 < num < 4
    assert "a.avi: ends after" in err and f"{num} of the 4 frames" in err


@pytest.mark.parametrize("name", ["a.jpg", "a.avi"])
def test_results_do_not_take_the_place_of_the_boxes(given, tmp_path, name):
    """Of an image as of a video, both of which leave an a.json."""
    path, boxes = tmp_path / name, tmp_path / "out" / "a.json"
    if name == "a.jpg":
        cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))
    else:
        video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
        video.write(np.full((48, 64, 3), 90, np.uint8))
        video.release()
    boxes.parent.mkdir()
    boxes.write_text(json.dumps({"a.jpg": [[0, 0, 64, 48]], "a.avi#0": [[0, 0, 64, 48]]}))
    before = boxes.read_bytes()
    words = ["infer", *map(str, given), "--input", str(path), "--output", str(boxes.parent)]
    with pytest.raises(ConfigError, match=r"a\.json is a file of the input"):
        dispatch([*words, "--boxes", str(boxes), "--device", "cpu"])
    assert boxes.read_bytes() == before and list(boxes.parent.iterdir()) == [boxes]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--opacity", "0.5"], "--opacity: PoseWriter has no such option"),
        (["--bbox-thr", "0.5"], "--bbox-thr is of a detector"),
        (["--boxes", "a.json", "--detector", "a.onnx"], "give one"),
        (["--seg-dir", "."], "PoseWriter takes no masks"),
        (["--smooth"], "--smooth is for people in a video"),
    ],
)
def test_options_that_do_not_fit_are_found_before_weights_are_read(
    given, tmp_path, options, message
):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((60, 80, 3), 90, np.uint8))
    paths = ["--input", str(tmp_path / "a.jpg"), "--output", str(tmp_path / "out")]
    with pytest.raises(ConfigError, match=message):
        dispatch(["infer", str(given[0]), "nowhere.pth", *paths, *options])
