"""Segmentation, depth and normals of people by the command line, as in Python."""

import json

import cv2
import numpy as np
import pytest

import mmsapiens
from engine.errors import ConfigError
from mmsapiens.cli import dispatch

PARTS = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
DEPTH = "depth/synthetic/sapiens_tiny_synthetic_depth-192x144"
NORMAL = "normal/synthetic/sapiens_tiny_synthetic_normal-192x144"
FEATURES = "pretrain/features/sapiens_tiny_features-256x256"
BOXES = {"00.png": [[5, 10, 30, 60, 0.5], [20, 5, 45, 50, 0.9]], "01.png": [], "02.png": []}


@pytest.fixture
def infer(infer_command, tmp_path):
    """Runs a task with boxes and further words; returns the exit code and the output folder."""

    made = {}

    def run(config, *words, boxes=BOXES):
        if config not in made:
            made[config] = infer_command(config)
        command, out = made[config]
        path, command = tmp_path / "boxes.json", [*command]
        if not path.exists() or json.loads(path.read_text()) != boxes:
            path.write_text(json.dumps(boxes))
        at = command.index("--cfg-options")
        command[at:at] = ["--boxes", str(path), *map(str, words)]
        return dispatch([*command, "model.eval_dtype=float32"]), out

    return run


@pytest.mark.parametrize("config", [PARTS, DEPTH, NORMAL])
def test_the_files_are_those_of_python(infer, tmp_path, config):
    code, out = infer(config)
    assert code == 0
    options = {"input_size_hw": (64, 64), "model.eval_dtype": "float32"}
    model = mmsapiens.load((config, tmp_path / "model.pth"), device="cpu", options=options)
    path = tmp_path / "boxes.json"
    for result in model(tmp_path / "in", boxes=path):
        for file in result.save(tmp_path / "ours"):
            assert file.read_bytes() == (out / file.name).read_bytes(), file.name
    of_array = model(tmp_path / "in/00.png", boxes=BOXES["00.png"])
    of_function = model(tmp_path / "in/00.png", boxes=lambda image, name: np.float32(BOXES[name]))
    for result in (of_array, of_function):
        for file in result.save(tmp_path / "again"):
            assert file.read_bytes() == (out / file.name).read_bytes(), file.name
    if config != PARTS:
        everywhere = np.ones((70, 50), bool)
        np.testing.assert_array_equal(of_array.plot(everywhere), of_array.plot())
        assert not np.array_equal(of_array.plot(~everywhere), of_array.plot())
    nobody = model(tmp_path / "in/00.png", boxes=[])
    whole, closer = (
        model(tmp_path / "in/00.png", **k) for k in ({}, {"boxes": path, "box_margin": 1})
    )
    name = {PARTS: "labels", DEPTH: "depth", NORMAL: "normals"}[config]
    assert not getattr(nobody, name).any()
    assert not np.array_equal(getattr(whole, name), getattr(of_array, name))
    assert not np.array_equal(getattr(closer, name), getattr(of_array, name))


@pytest.mark.parametrize(("config", "outside"), [(DEPTH, 100), (NORMAL, 0)])
def test_pictures_show_what_is_inside_the_boxes(infer, tmp_path, config, outside):
    inside = np.zeros((70, 50), bool)
    inside[10:60, 5:30] = inside[5:50, 20:45] = True
    _, out = infer(config)
    values = np.load(out / "00.npy")
    assert not values[~inside].any() and values[inside].any()
    picture = cv2.imread(str(out / "00.png"))[:, 50:100]
    assert (picture[~inside] == outside).all() and (picture[inside] != outside).any(axis=1).all()
    nobody = cv2.imread(str(out / "01.png"))[:, 50:100]
    assert (nobody == outside).all() and not np.load(out / "01.npy").any()

    masks = tmp_path / "masks"
    masks.mkdir()
    for i in range(3):
        cv2.imwrite(
            str(masks / f"{i:02}.png"), np.repeat(np.uint8([[0, 255]]), (25, 25), 1).repeat(70, 0)
        )
    infer(config, "--seg-dir", masks)
    picture = cv2.imread(str(out / "00.png"))[:, 50:100]
    inside[:, :25] = False
    assert (picture[~inside] == outside).all() and (picture[inside] != outside).any(axis=1).all()


def test_other_boxes_and_margins_are_seen_by_a_second_run(infer):
    def run(*words, **boxes):
        infer(DEPTH, "--save", "map", *words, **boxes)
        return {p.name: p.stat().st_mtime_ns for p in out.glob("*.npy")}

    _, out = infer(DEPTH, "--save", "map")
    first = run()
    assert run() == first and len(first) == 3
    margin = run("--box-margin", "1.5")
    moved = run("--box-margin", "1.5", boxes={**BOXES, "01.png": [[5, 5, 30, 40]]})
    for before, after in ((first, margin), (margin, moved)):
        assert all(before[name] != after[name] for name in before)
    assert np.load(out / "01.npy").any()


def test_a_detector_finds_the_people(infer_command, root, tmp_path):
    """The one of the tests finds what is dark."""
    command, out = infer_command(DEPTH, 1)
    image = np.full((64, 64, 3), 220, np.uint8)
    image[10:50, 20:40] = 15
    cv2.imwrite(str(tmp_path / "in/00.png"), image)
    detector = str(root / "tests/golden/detector.onnx")
    for more, is_there in ([], True), (["--bbox-thr", "0.95"], False):
        command[1:1] = ["--detector", detector, *more]
        assert dispatch(command) == 0
        inside = np.load(out / "00.npy") != 0
        assert inside[10:50, 20:40].mean() == is_there and inside.sum() == is_there * 40 * 20


def test_a_bad_box_is_said_and_counted(infer, capsys):
    code, out = infer(PARTS, boxes={**BOXES, "01.png": [[60, 5, 70, 9], [5, 5, 30, 40]]})
    said = capsys.readouterr()
    assert code == 1 and "01.png: the box (60, 5, 70, 9)" in said.err.replace("\n", "")
    assert "3 of 3 images done" in said.out and (out / "01_seg.npy").is_file()


@pytest.mark.parametrize(
    ("config", "words", "message"),
    [
        (FEATURES, ["--boxes", "a.json"], r"--boxes: .* predicts whole images; boxes .* are for"),
        (FEATURES, ["--box-margin", "2"], "--box-margin: .* predicts whole images"),
        (DEPTH, ["--box-margin", "2"], "--box-margin is for the --boxes"),
        (DEPTH, ["--bbox-thr", "0.5"], "--bbox-thr is of a detector"),
        (DEPTH, ["--boxes", "a.json", "--detector", "a.onnx"], "give one"),
        (DEPTH, ["--boxes", "a.json", "--box-margin", "0.5"], "a factor of at least 1; found 0.5"),
        (PARTS, ["--boxes", "a.json", "--save", "probabilities"], "are of whole images"),
        (DEPTH, ["--smooth", "--boxes", "a.json"], "--smooth is for people in a video"),
    ],
)
def test_options_that_do_not_fit_are_found_before_weights_are_read(
    tmp_path, monkeypatch, config, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.avi").touch()
    with pytest.raises(ConfigError, match=message):
        dispatch(["infer", config, "nowhere.pth", "--input", "a.avi", "--output", "out", *words])
