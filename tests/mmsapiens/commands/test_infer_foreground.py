"""Masks that a model makes on the way are those that it writes, and that --seg-dir reads."""

import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import engine.data.loading
import mmsapiens.jobs
from engine.config import load_config
from engine.errors import ConfigError
from engine.model.base import build_model
from mmsapiens.cli import dispatch
from mmsapiens.jobs import Message
from mmsapiens.shipped import find_config
from tests.conftest import TINIEST_ARCH

PARTS = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
DEPTH = "depth/synthetic/sapiens_tiny_synthetic_depth-192x144"
NORMAL = "normal/synthetic/sapiens_tiny_synthetic_normal-192x144"


@pytest.fixture
def foreground(tmp_path):
    """A checkpoint of a segmentation model that finds a foreground in noise; its config beside."""
    options = {"input_size_hw": (64, 48), "model.eval_dtype": "float32"}
    cfg = load_config(find_config(PARTS), options)
    cfg.model.backbone.arch = TINIEST_ARCH
    init_default_scope("seg")
    torch.manual_seed(0)
    model = build_model(cfg.model)
    model.decode_head.conv_seg.weight.data *= 100
    model.decode_head.conv_seg.bias.data[0] += 8
    folder = tmp_path / "foreground"
    folder.mkdir()
    cfg.dump(str(folder / "config.py"))
    torch.save(model.state_dict(), folder / "model.pth")
    return folder / "model.pth"


@pytest.fixture
def infer(infer_command, foreground, tmp_path):
    """Runs a task with further words; returns its pictures by name."""
    made = {}

    def run(config, out, *words, num=3):
        command = made.setdefault(config, None) or infer_command(config, num)[0]
        made[config] = command = [*command]
        command[command.index("--output") + 1] = str(tmp_path / out)
        at = command.index("--cfg-options")
        words = [*command[:at], *map(str, words), *command[at:], "model.eval_dtype=float32"]
        assert dispatch(words) == 0
        return {p.name: cv2.imread(str(p)) for p in sorted((tmp_path / out).glob("*.png"))}

    return run


def write_masks(foreground, tmp_path):
    """Does the first of the two steps; returns the folder."""
    words = ["--input", tmp_path / "in", "--output", tmp_path / "parts", "--num-workers", "0"]
    assert dispatch(["infer", *map(str, [foreground, *words, "--device", "cpu"])]) == 0
    masks = [np.load(path) for path in sorted((tmp_path / "parts").glob("[0-9][0-9].npy"))]
    assert masks and all(0.1 < mask.mean() < 0.9 for mask in masks)
    return tmp_path / "parts"


def assert_same(pictures, expected):
    assert pictures.keys() == expected.keys() and expected
    for name in expected:
        np.testing.assert_array_equal(pictures[name], expected[name], err_msg=name)


@pytest.mark.parametrize("config", [DEPTH, NORMAL])
@pytest.mark.parametrize("with_boxes", [False, True])
def test_pictures_are_those_of_two_steps(infer, foreground, tmp_path, config, with_boxes):
    boxes = {"00.png": [[5, 10, 30, 60, 0.5], [20, 5, 45, 50, 0.9]], "01.png": [], "02.png": []}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    words = ["--boxes", tmp_path / "boxes.json"] if with_boxes else []
    plain = infer(config, "plain", *words)
    masks = write_masks(foreground, tmp_path)
    expected = infer(config, "two", "--seg-dir", masks, *words)
    for size in (1, 2):
        more = ["--foreground", foreground, "--batch-size", size, "--num-workers", size - 1]
        found = infer(config, f"one{size}", *more, *words)
        if size == 1:
            assert_same(found, expected)
            for name in ("00.npy", "01.npy", "02.npy"):
                files = [tmp_path / out / name for out in ("one1", "two", "plain")]
                assert len({path.read_bytes() for path in files}) == 1
        different = [np.mean(found[name] != expected[name]) for name in expected]
        assert max(different) < 0.01  # batches round differently
    assert np.mean(plain["00.png"] != expected["00.png"]) > 0.02


def test_videos_are_those_of_two_steps(infer_command, foreground, tmp_path):
    command, _ = infer_command(NORMAL, num=0)
    clip = tmp_path / "in/a.avi"
    video = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(3):
        coarse = rng.integers(0, 255, (6, 8, 3), np.uint8)
        video.write(cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_NEAREST))
    video.release()
    words = ["--input", clip, "--output", tmp_path / "parts", "--save", "foreground"]
    assert dispatch(["infer", *map(str, [foreground, *words, "--device", "cpu"])]) == 0
    masks = [np.load(path) for path in sorted((tmp_path / "parts/a").glob("*.npy"))]
    assert len(masks) == 3 and all(0.1 < mask.mean() < 0.9 for mask in masks)
    films = {}
    for name, words in {
        "plain": [],
        "one": ["--foreground", foreground],
        "two": ["--seg-dir", tmp_path / "parts"],
    }.items():
        command[command.index("--output") + 1] = str(tmp_path / name)
        at = command.index("--cfg-options")
        more = ["model.eval_dtype=float32"]
        assert dispatch([*command[:at], *map(str, words), *command[at:], *more]) == 0
        films[name] = (tmp_path / name / "a.mp4").read_bytes()
    assert films["one"] == films["two"] != films["plain"]


def test_an_image_is_decoded_once(infer, foreground, monkeypatch):
    decode, decoded = engine.data.loading.decode_image, []

    def count(data, path, **options):
        decoded.append(path)
        return decode(data, path, **options)

    monkeypatch.setattr(engine.data.loading, "decode_image", count)
    assert len(infer(DEPTH, "one", "--foreground", foreground)) == 3 == len(decoded)


def test_jobs_and_shares_make_the_same(infer, foreground, tmp_path):
    one = infer(NORMAL, "one", "--foreground", foreground)
    for share in ("1/2", "2/2"):
        found = infer(NORMAL, "shares", "--foreground", foreground, "--shard", share)
    assert_same(found, one)


def one_after_the_other(target, arguments):
    """Runs jobs in this process, with what they get in theirs; those have tests of their own."""
    for index, values in enumerate(arguments):
        said = []
        with pytest.raises(SystemExit) as end:
            target(said.append, *pickle.loads(pickle.dumps(values)))
        yield from (Message(index, content) for content in said)
        yield Message(index, None, end.value.code)


def test_jobs_on_devices_make_the_same(infer_command, foreground, tmp_path, monkeypatch):
    monkeypatch.setattr(mmsapiens.jobs, "run_side_by_side", one_after_the_other)
    monkeypatch.setattr(torch, "set_num_threads", lambda num: None)
    command, out = infer_command(NORMAL)
    command[1:1] = ["--foreground", str(foreground)]
    assert dispatch(command) == 0
    expected = {p.name: p.read_bytes() for p in out.glob("*.png")}
    at = command.index("--device")
    command[at : at + 2] = ["--devices", "cpu:2"]
    command[command.index("--output") + 1] = str(tmp_path / "jobs")
    assert dispatch(command) == 0 and len(expected) == 3
    assert expected == {p.name: p.read_bytes() for p in (tmp_path / "jobs").glob("*.png")}


def test_a_second_run_sees_another_foreground(infer, foreground, tmp_path):
    def run(*words):
        infer(DEPTH, "out", "--batch-size", 2, *words)
        return {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.png")}

    first = run("--foreground", foreground)
    assert run("--foreground", foreground) == first and len(first) == 3
    (tmp_path / "out" / "01.png").unlink()
    again = run("--foreground", foreground)
    assert [name for name in first if first[name] != again[name]] == ["01.png"]
    state = torch.load(foreground)
    state["decode_head.conv_seg.bias"][0] -= 8
    torch.save(state, foreground)
    other = run("--foreground", foreground)
    none = run()
    for before, after in ((again, other), (other, none)):
        assert all(before[name] != after[name] for name in before)


@pytest.mark.parametrize(
    ("config", "words", "message"),
    [
        (DEPTH, ["--foreground", "a.pth", "--seg-dir", "."], "both say where people are"),
        (PARTS, ["--foreground", "a.pth"], "--foreground: SegWriter takes no masks"),
        (DEPTH, ["--foreground", "a.pth", "--save", "map"], "--foreground is for pictures"),
        (DEPTH, ["--seg-dir", "masks", "--save", "map"], "--seg-dir is for pictures"),
        (DEPTH, ["--foreground", "nobody"], "There is no released model 'nobody'"),
    ],
)
def test_what_does_not_fit_is_found_before_weights_are_read(
    tmp_path, monkeypatch, config, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks").mkdir()
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ConfigError, match=message):
        dispatch(["infer", config, "nowhere.pth", "--input", "a.jpg", "--output", "out", *words])


def test_a_model_of_another_task_finds_no_foreground(tmp_path, monkeypatch):
    folder = tmp_path / "depth"
    folder.mkdir()
    load_config(find_config(DEPTH)).dump(str(folder / "config.py"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    words = ["--input", "a.jpg", "--output", "out", "--foreground", str(folder / "a.pth")]
    with pytest.raises(ConfigError, match=r"is no config of segmentation.* its writer is DepthWr"):
        dispatch(["infer", NORMAL, "nowhere.pth", *words])
