"""Models in Python: every task, whatever an image is given as, gives the files of ``infer``."""

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from PIL import Image

import mmsapiens
from engine.config import load_config
from engine.data.decoding import decode_image
from engine.errors import ConfigError, DataError, ProcessError, WeightsError
from engine.model.base import build_model
from mmsapiens.cli import dispatch
from mmsapiens.predictors import Depth, Features, Normals, Parts, People
from mmsapiens.shipped import find_config

CONFIGS = {
    "parts": "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144",
    "depth": "depth/synthetic/sapiens_tiny_synthetic_depth-192x144",
    "normal": "normal/synthetic/sapiens_tiny_synthetic_normal-192x144",
    "pose": "pose/synthetic/sapiens_tiny_synthetic_coco-192x144",
    "features": "pretrain/features/sapiens_tiny_features-256x256",
}
SMALL = {"input_size_hw": (64, 64)}
SIZES_WH = [(50, 70), (90, 40), (64, 64)]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Random weights of each task's model; made when they are first asked for."""
    folder, made = tmp_path_factory.mktemp("checkpoints"), {}

    def get(task):
        if task not in made:
            cfg = load_config(find_config(CONFIGS[task]), SMALL)
            init_default_scope(cfg.default_scope)
            torch.manual_seed(0)
            made[task] = folder / f"{task}.pth"
            torch.save({"state_dict": build_model(cfg.model).state_dict()}, made[task])
        return made[task]

    return get


@pytest.fixture
def load(checkpoints):
    def load(task, options=None, **arguments):
        source = (CONFIGS[task], checkpoints(task))
        options = {**SMALL, **(options or {})}
        return mmsapiens.load(source, device="cpu", options=options, **arguments)

    return load


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i, (width, height) in enumerate(SIZES_WH):
        small = rng.integers(0, 256, (6, 5, 3), np.uint8)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / f"photos/{i}.png"), image)
    return tmp_path / "photos"


def values(result):
    """All that a result says."""
    names = ("labels", "depth", "normals", "features", "keypoints", "scores", "boxes")
    return {name: getattr(result, name) for name in names if hasattr(result, name)}


def assert_equal(result, other):
    a, b = values(result), values(other)
    assert a and a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize(
    ("task", "kind", "predictor"),
    [
        ("parts", Parts, mmsapiens.PartSegmenter),
        ("depth", Depth, mmsapiens.DepthPredictor),
        ("normal", Normals, mmsapiens.NormalPredictor),
        ("pose", People, mmsapiens.PosePredictor),
        ("features", Features, mmsapiens.FeaturePredictor),
    ],
)
def test_every_task_gives_the_files_of_infer(
    load, checkpoints, photos, tmp_path, task, kind, predictor
):
    model = load(task)
    results = model(photos)
    assert type(model) is predictor and {type(result) for result in results} == {kind}
    written = [result.save(tmp_path / "ours") for result in results]
    words = [CONFIGS[task], str(checkpoints(task)), "--input", str(photos), "--device", "cpu"]
    words += ["--output", str(tmp_path / "theirs"), "--num-workers", "0"]
    assert dispatch(["infer", *words, "--cfg-options", "input_size_hw=(64,64)"]) == 0
    for path in [path for paths in written for path in paths]:
        theirs = tmp_path / "theirs" / path.relative_to(tmp_path / "ours")
        assert path.read_bytes() == theirs.read_bytes(), path.name
    assert all(written) and [result.path for result in results] == sorted(photos.iterdir())
    if task != "features":
        assert results[0].plot().dtype == np.uint8 and results[0].plot().shape[2] == 3
    shapes = {
        "parts": lambda r: r.labels.shape,
        "depth": lambda r: r.depth.shape,
        "normal": lambda r: r.normals.shape[:2],
    }
    if task in shapes:
        assert [shapes[task](r) for r in results] == [wh[::-1] for wh in SIZES_WH]


def test_an_image_is_the_same_however_it_is_given(load, photos):
    model = load("depth")
    path = photos / "0.png"
    expected = model(path)
    bgr = cv2.imread(str(path))
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    planes = torch.from_numpy(rgb.transpose(2, 0, 1).copy())
    for image in (str(path), path.read_bytes(), bgr, Image.open(path), planes, planes / 255):
        assert_equal(model(image), expected)
    assert_equal(model(rgb, color="rgb"), expected)
    assert not np.array_equal(model(rgb).depth, expected.depth)
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    assert_equal(model(grey), model(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)))


@pytest.mark.parametrize("task", ["depth", "pose"])
def test_many_images_keep_their_order_whatever_the_batch(load, photos, task):
    model = load(task)
    paths = [photos / "2.png", photos / "0.png", photos / "1.png", photos / "0.png"]
    alone = [model(path) for path in paths]
    arrays = [cv2.imread(str(path)) for path in paths]
    for batch_size, source in [(1, paths), (3, paths), (2, arrays), (2, (a for a in arrays))]:
        model.batch_size = batch_size
        for result, expected in zip(model(source), alone, strict=True):
            for name, value in values(expected).items():
                if name != "keypoints":  # of flat heatmaps; batches round differently
                    np.testing.assert_allclose(values(result)[name], value, atol=1e-2, rtol=1e-2)


def test_a_stream_takes_images_when_it_is_asked(load, photos):
    taken = []

    def camera():
        for path in sorted(photos.iterdir()):
            taken.append(path)
            yield cv2.imread(str(path))

    stream = load("parts")(camera(), stream=True)
    assert not taken
    next(stream)
    assert len(taken) == 1
    assert len(list(stream)) == 2


def test_frames_of_a_video_are_images(load, photos, tmp_path):
    path = tmp_path / "a.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for i in range(6):
        video.write(np.full((48, 64, 3), 40 * i, np.uint8))
    video.release()
    model = load("depth")
    depths = [result.depth for result in model(path)]
    assert len(depths) == 6 and depths[0].shape == (48, 64)
    assert not np.array_equal(depths[0], depths[5])
    (saved, *_) = next(model(path, stream=True)).save(tmp_path / "out")
    assert saved == tmp_path / "out/a/000000.npy"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"a\.avi"):
        model(path)
    assert len(model(path, on_error="skip")) < 6


def test_what_cannot_be_predicted_raises_or_is_skipped(load, photos):
    (photos / "1.png").write_bytes((photos / "1.png").read_bytes()[:60])
    model = load("parts")
    with pytest.raises(DataError, match=r"1\.png"):
        model(photos)
    results = model(photos, on_error="skip")
    assert [result.path.name for result in results] == ["0.png", "2.png"]
    with pytest.raises(DataError, match=r"1\.png"):
        model(photos / "1.png", on_error="skip")


@pytest.mark.parametrize("kind", [list, iter])
def test_what_is_no_image_among_others_is_skipped_too(load, photos, kind):
    model = load("parts", batch_size=2)
    good = (photos / "0.png").read_bytes()
    images = [good, b"no image", np.zeros((4, 4), np.float32), good, good]
    with pytest.raises(DataError, match=r"^image_1"):
        model(kind(images))
    results = model(kind(images), on_error="skip")
    assert [result.source.image.out_stem for result in results] == ["image_0", "image_3", "image_4"]
    for result in results:
        assert_equal(result, model(good))


def test_a_list_of_images_is_decoded_batch_by_batch(load, photos, monkeypatch):
    decoded = []

    def decode(data, name):
        decoded.append(name)
        return decode_image(data, name)

    monkeypatch.setattr("mmsapiens.predictors.inputs.decode_image", decode)
    stream = load("parts", batch_size=2)([(photos / "0.png").read_bytes()] * 5, stream=True)
    next(stream)
    assert decoded == ["image_0", "image_1"]
    assert len(list(stream)) == 4 and len(decoded) == 5


def test_a_deep_image_is_the_same_from_a_file_and_from_pil(load, tmp_path):
    path = tmp_path / "deep.png"
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), rng.integers(0, 2**16, (60, 50), np.uint16))
    model = load("depth")
    assert_equal(model(Image.open(path)), model(path))
    with pytest.raises(DataError, match="mode F do not say which value is white"):
        model(Image.new("F", (8, 8)))


def test_boxes_say_where_people_are(load, photos):
    model = load("pose")
    boxes = np.float32([[5, 5, 40, 60], [10, 0, 30, 50]])
    people = model(photos / "0.png", boxes=boxes)
    assert len(people) == 2 and people.keypoints.shape == (2, 17, 2)
    np.testing.assert_array_equal(people.boxes, boxes)
    assert people.names[0] == "nose" and people.box_scores.tolist() == [1, 1]
    assert len(model(photos / "0.png", boxes=[])) == 0
    (whole,) = model(photos / "0.png").boxes
    assert whole.tolist() == [0, 0, *SIZES_WH[0]]
    with pytest.raises(ConfigError, match=r"expected \(N, 4\) or \(N, 5\)"):
        model(photos / "0.png", boxes=[[1, 2, 3]])
    with pytest.raises(ConfigError, match="FeaturePredictor has no option 'boxes'"):
        load("features")(photos / "0.png", boxes=boxes)
    with pytest.raises(ConfigError, match="PosePredictor has no option 'box_margin'"):
        model(photos / "0.png", boxes=boxes, box_margin=2)
    with pytest.raises(ConfigError, match="box_margin is of boxes"):
        load("parts")(photos / "0.png", box_margin=2)


@pytest.mark.parametrize("task", ["parts", "features"])
def test_threads_share_a_model(load, photos, task):
    options = {"model.attention_query": "centre"} if task == "features" else {}
    model = load(task, options)
    paths = sorted(photos.iterdir()) * 4
    alone = [model(path) for path in paths[:3]] * 4
    with ThreadPoolExecutor(4) as pool:
        for result, expected in zip(pool.map(model, paths), alone, strict=True):
            assert_equal(result, expected)
            if task == "features":
                np.testing.assert_array_equal(result.attention, expected.attention)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (np.zeros((4, 4, 3), np.float32), r"found \(4, 4, 3\) float32"),
        (np.zeros((4, 4, 4), np.uint8), r"found \(4, 4, 4\) uint8"),
        (torch.full((3, 4, 4), 255.0), r"in \[0, 1\]; found 255 to 255"),
        (torch.zeros(4, 4, 3), r"expected a tensor \(3, H, W\)"),
        (b"no image", "image"),
        (7, "found a int"),
        ([7], "found a int"),
        ("https://example.org/a.jpg", "not downloaded"),
        ("nowhere.jpg", "^source 'nowhere.jpg': no images found"),
        ({"a": np.zeros((4, 4, 3), np.uint8)}, "found a dict"),
        (io.BytesIO(b"no image"), r"found a BytesIO. Give its bytes: .read\(\)"),
        ("a" * 5000, "no images found"),
    ],
)
def test_what_is_no_image_is_said(load, source, text):
    with pytest.raises(DataError, match=text):
        load("parts")(source)


def test_a_training_is_loaded_by_its_checkpoint(checkpoints, tmp_path, photos):
    cfg = load_config(find_config(CONFIGS["parts"]), SMALL)
    folder = tmp_path / "run"
    folder.mkdir()
    cfg.dump(str(folder / "face.py"))
    (folder / "epoch_1.pth").write_bytes(checkpoints("parts").read_bytes())
    model = mmsapiens.load(folder / "epoch_1.pth", device="cpu", dtype="float32")
    assert isinstance(model, mmsapiens.PartSegmenter) and model.dtype == "float32"
    assert model(photos / "0.png").classes[0] == "Background"
    cfg.dump(str(folder / "other.py"))
    with pytest.raises(ConfigError, match="2 configs lie beside it"):
        mmsapiens.load(folder / "epoch_1.pth")


def test_what_cannot_be_loaded_is_said(checkpoints, tmp_path):
    with pytest.raises(ConfigError, match=r"expected a name, .* found 3\."):
        mmsapiens.load(3)
    with pytest.raises(ConfigError, match="aaa"):
        mmsapiens.load("a" * 5000)
    with pytest.raises(ConfigError, match="no configs lie beside it"):
        mmsapiens.load(checkpoints("parts"))
    with pytest.raises(ConfigError, match="is a folder; give the checkpoint in it"):
        mmsapiens.load(tmp_path)
    with pytest.raises(ConfigError, match="there is neither such a file nor a config"):
        mmsapiens.load(("no_such_config", checkpoints("parts")))
    with pytest.raises(WeightsError, match="is not a file"):
        mmsapiens.load((CONFIGS["parts"], tmp_path / "nowhere.pth"))
    with pytest.raises(ConfigError, match="nothing that it predicts"):
        mae = "pretrain/synthetic/mae_sapiens_tiny_synthetic-256x256"
        mmsapiens.load((mae, checkpoints("parts")))
    with pytest.raises(ConfigError, match="device nowhere"):
        mmsapiens.load((CONFIGS["parts"], checkpoints("parts")), device="nowhere")


def test_a_predictor_lets_go_of_its_model(load, photos, tmp_path):
    with load("parts") as model, model:  # twice
        result = model(photos / "0.png")
    assert not hasattr(model, "model")
    assert result.save(tmp_path / "out") and result.plot().shape[2] == 3
    with pytest.raises(ConfigError, match="load it anew"):
        model(photos / "0.png")


@pytest.mark.parametrize("name", ["batch_size", "num_workers"])
def test_numbers_that_are_none_are_said(load, photos, name):
    with pytest.raises(ConfigError, match=rf"{name} is an integer of at least .; found -1"):
        load("parts", **{name: -1})
    model = load("parts")
    setattr(model, name, 0.5)
    with pytest.raises(ConfigError, match=f"{name} is an integer"):
        model(photos)
    with pytest.raises(ConfigError, match="batch_size is an integer of at least 1; found 0"):
        load("parts", batch_size=0)
    with pytest.raises(ConfigError, match="batch_size is an integer of at least 1; found True"):
        load("parts", batch_size=True)
    with pytest.raises(ConfigError, match="a factor of at least 1; found '2'"):
        load("parts")(photos, boxes=[[0, 0, 9, 9]], box_margin="2")


def test_a_reading_process_that_is_killed_is_said(load, photos):
    results = load("parts", num_workers=1)([photos / "0.png"] * 50, stream=True)
    next(results)
    (reader,) = multiprocessing.active_children()
    with pytest.raises(ProcessError, match=r"reads data .*(ended by the system: Killed|has ended)"):
        os.kill(reader.pid, signal.SIGKILL)
        list(results)
    assert not multiprocessing.active_children()


def test_probabilities_are_of_who_asks(load, photos):
    assert load("parts")(photos / "0.png").probabilities is None
    model = load("parts", {"model.keep_probabilities": True, "writer.save": ["probabilities"]})
    result = model(photos / "0.png")
    kept = result.probabilities
    assert kept.dtype == np.float16 and kept.shape[0] == len(result.classes)
    np.testing.assert_allclose(kept.astype(np.float32).sum(axis=0), 1, atol=1e-2)
    (path,) = result.save(photos / "out")
    np.testing.assert_array_equal(np.load(path), kept)


def test_importing_the_package_is_instant():
    code = "import mmsapiens, sys; assert 'torch' not in sys.modules; print(mmsapiens.__all__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "load" in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        SimpleNamespace(x=mmsapiens.nothing)


@pytest.mark.parametrize(
    ("task", "given", "batch_size"), [("parts", None, 1), ("pose", None, 8), ("parts", 3, 3)]
)
def test_the_size_of_a_batch_is_that_given_or_the_tasks(load, task, given, batch_size):
    model = load(task, batch_size=given, num_workers=given or 0)
    assert model.batch_size == batch_size and model.num_workers == (given or 0)


def test_images_are_predicted_in_batches_of_the_size_given(load, photos):
    model = load("depth", batch_size=2)
    sizes = []
    test_step = model.model.test_step
    model.model.test_step = lambda batch: sizes.append(len(batch["inputs"])) or test_step(batch)
    model(photos)
    assert sizes == [2, 1]


@pytest.mark.parametrize(("options", "flip"), [({}, True), ({"model.test_views": None}, True)])
def test_mirrored_views_are_the_callers_wish(load, photos, options, flip):
    plain, flipped = load("normal", flip=False), load("normal", options, flip=flip)
    assert flipped.model.test_views.flip and not plain.model.test_views.flip
    found = plain(photos / "0.png").normals, flipped(photos / "0.png").normals
    assert not np.array_equal(*found)


def test_a_config_that_mirrors_does_so_unless_it_is_told_otherwise(load):
    options = {"model.test_views.flip": True}
    assert load("normal", options).model.test_views.flip
    assert not load("normal", options, flip=False).model.test_views.flip


@pytest.mark.parametrize("arguments", [dict(color="rbg"), dict(on_error="ignore")])
def test_words_that_a_call_does_not_know(load, photos, arguments):
    with pytest.raises(ConfigError, match="expected 'bgr' or 'rgb', and 'raise' or 'skip'"):
        load("parts")(photos, **arguments)


def test_one_image_may_be_streamed_too(load, photos):
    stream = load("parts")(photos / "0.png", stream=True)
    assert next(stream).path == photos / "0.png" and next(stream, None) is None
    assert load("parts")([]) == []


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.0, 1.001), (-0.001, 1.0)])
def test_floats_are_from_0_to_1(load, values):
    image = torch.zeros(3, 8, 8)
    image[0, 0, 0], image[0, 0, 1] = values
    if values == (0.0, 1.0):
        pixels = load("parts")(image).image
        assert pixels[0, 1].tolist() == [0, 0, 255] and pixels.sum() == 255
    else:
        with pytest.raises(DataError, match=r"expected a float tensor in \[0, 1\]"):
            load("parts")(image)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (torch.zeros(3, 4, 4, dtype=torch.int32), "expected uint8 or float; found torch.int32"),
        (torch.zeros(3, 0, 4), r"found \(3, 0, 4\)"),
        (torch.zeros(4, 4, 4), r"found \(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"found \(0, 4, 3\)"),
        (np.zeros((4, 4), np.uint16), r"found \(4, 4\) uint16"),
        (np.zeros((4, 4, 1), np.uint8), r"found \(4, 4, 1\)"),
        (np.zeros(4, np.uint8), r"found \(4,\)"),
    ],
)
def test_arrays_and_tensors_that_are_no_images(load, image, text):
    with pytest.raises(DataError, match=f"image_0: .*{text}"):
        load("parts")(image)


def test_results_say_where_they_are_from(load, photos):
    model = load("parts")
    result = model(photos / "0.png")
    shares = {name: (result.labels == i).mean() for i, name in enumerate(result.classes)}
    first = max(shares, key=shares.get)
    assert str(result).startswith(f"{photos / '0.png'}: {first} {shares[first]:.1%}")
    assert "0.0%" not in str(result) or min(s for s in shares.values() if s) < 0.0005
    np.testing.assert_array_equal(result.foreground, result.labels > 0)
    unnamed = model(cv2.imread(str(photos / "0.png")))
    assert unnamed.path is None and str(unnamed).startswith("image: ")


def test_boxes_may_come_from_a_function_and_have_scores(load, photos):
    model = load("pose")
    box = [5.0, 5.0, 40.0, 60.0]
    expected = model(photos / "0.png", boxes=[box])
    scored = model(photos / "0.png", boxes=[[*box, 0.25]])
    assert scored.box_scores.tolist() == [0.25]
    by_function = model(photos / "0.png", boxes=lambda image, name: np.float32([[*box, 1]]))
    assert_equal(by_function, expected)
    with pytest.raises(ConfigError, match="boxes: "):
        model(photos / "0.png", boxes=[[1, 2, 3, "x"]])
    with pytest.raises(ConfigError, match="PosePredictor has no option 'box'"):
        model(photos / "0.png", box=[box])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (("a", "b", "c"), r"expected \(config, checkpoint\); found 3 of them"),
        ("a.onnx", r"a\.onnx is not a file"),
    ],
)
def test_sources_that_are_no_models(source, text):
    with pytest.raises(ConfigError, match=text):
        mmsapiens.load(source)


def test_frames_say_when_they_are_shown_and_a_folder_may_hold_videos(load, photos):
    model, path = load("depth", batch_size=4), photos / "sub" / "a.avi"
    path.parent.mkdir()
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for i in range(6):
        video.write(np.full((48, 64, 3), 40 * i, np.uint8))
    video.release()
    results = model(photos)
    images, frames = results[:3], results[3:]
    boxes = {f"{i}.png": [] for i in range(3)} | {
        f"sub/a.avi#{i}": [[1, 2, 9, 9]] for i in range(6)
    }
    (photos / "boxes.json").write_text(json.dumps(boxes))
    people = load("pose")(photos, boxes=photos / "boxes.json")
    assert [len(found) for found in people] == [0] * 3 + [1] * 6
    assert [(r.number, r.time_s) for r in images] == [(None, None)] * 3
    assert [r.number for r in frames] == list(range(6))
    assert [r.time_s for r in frames] == pytest.approx([i / 10 for i in range(6)], abs=1e-6)
    assert [r.source.image.out_stem for r in frames[:2]] == ["sub/a/000000", "sub/a/000001"]
    model.batch_size = 1
    for result, alone in zip(frames, model(path), strict=True):
        np.testing.assert_allclose(result.depth, alone.depth, atol=1e-2)
    sizes, predict = [], model.model.test_step
    model.batch_size = 4
    model.model.test_step = lambda batch: sizes.append(len(batch["inputs"])) or predict(batch)
    assert len(model(path)) == 6 and sizes == [4, 2]


def test_paths_of_one_name_that_come_one_by_one_have_results_of_their_own(load, photos, tmp_path):
    paths = [tmp_path / "x/a.png", tmp_path / "y/a.png"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes((photos / "0.png").read_bytes())
    saved = [r.save(tmp_path / "out") for r in load("parts")(iter(paths), stream=True)]
    assert [path.name for path in saved[0]] == ["a_seg.npy", "a.npy", "a.png"]
    assert [path.name for path in saved[1]] == ["a_1_seg.npy", "a_1.npy", "a_1.png"]
