"""Exported files: what they say and compute, and what happens to those that compute wrong."""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from safetensors import safe_open

import mmsapiens
from engine.config import load_config
from engine.errors import ConfigError, DataError, OutputError, WeightsError
from engine.model.base import build_model
from mmsapiens.cli import dispatch
from mmsapiens.export import onnx_file
from mmsapiens.export.check import compare, require_close
from mmsapiens.export.graphs import Graph
from mmsapiens.export.metadata import read_metadata
from mmsapiens.export.model import ExportedModel
from mmsapiens.export.network import ExportedNetwork
from mmsapiens.export.write import Options, export
from mmsapiens.export.writing import temporary_folder
from mmsapiens.shipped import find_config
from tests import processes
from tests.conftest import TINIEST_ARCH, face_options
from tests.mmsapiens.commands.conftest import run_verb
from tests.torchscript_files import rewrite

CONFIGS = {
    "parts": "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144",
    "depth": "depth/synthetic/sapiens_tiny_synthetic_depth-192x144",
    "normals": "normal/synthetic/sapiens_tiny_synthetic_normal-192x144",
    "pose": "pose/synthetic/sapiens_tiny_synthetic_coco-192x144",
    "features": "pretrain/features/sapiens_tiny_features-256x256",
}
SMALL = {"input_size_hw": (64, 48), "model.backbone.arch": TINIEST_ARCH}
OF_FILE = {"model.backbone.arch": TINIEST_ARCH}
"""Options of a config for an exported file, which says its size itself."""
ON_CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """The config and random weights of each task's model."""
    folder, made = tmp_path_factory.mktemp("checkpoints"), {}

    def get(task):
        cfg = load_config(find_config(CONFIGS[task]), SMALL)
        if task not in made:
            init_default_scope(cfg.default_scope)
            torch.manual_seed(0)
            model = build_model(cfg.model)
            with torch.no_grad():  # outputs as large as those of a trained model
                for name, parameter in model.named_parameters():
                    if name.endswith(("conv_seg.weight", "final_layer.weight")):
                        parameter.mul_(100)
            made[task] = folder / f"{task}.pth"
            torch.save({"state_dict": model.state_dict()}, made[task])
        return cfg, made[task]

    return get


@pytest.fixture(scope="module")
def files(checkpoints, tmp_path_factory):
    """Exported files by task and options, made once."""
    folder, made = tmp_path_factory.mktemp("exported"), {}

    def get(task, *options, **more):
        key = (task, *options, *more.items())
        if key not in made:
            place = folder / str(len(made))
            with pytest.MonkeyPatch.context() as patch:
                if task == "pose":
                    patch.setattr(onnx_file, "LARGEST", 0)  # as of a model above 2 GB
                made[key] = export(*checkpoints(task), place, Options(*options, **more))
        return made[key]

    return get


@pytest.fixture
def image():
    small = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    return cv2.resize(small, (80, 100), interpolation=cv2.INTER_CUBIC)


def _lacks(*names):
    from importlib.util import find_spec

    return [name for name in names if find_spec(name) is None]


MISSING = _lacks("onnx", "onnxscript", "onnxruntime")
ONNX = pytest.mark.skipif(bool(MISSING), reason=f"without {', '.join(MISSING)} there is no ONNX")


def needs_onnx(*values):
    return pytest.param(*values, marks=ONNX)


def load(task, checkpoint, options, **arguments):
    return mmsapiens.load((CONFIGS[task], checkpoint), options=options, device="cpu", **arguments)


def predicted(result):
    names = ("labels", "depth", "normals", "features", "keypoints", "scores")
    return {name: getattr(result, name) for name in names if hasattr(result, name)}


@pytest.mark.parametrize(
    ("task", "file_format"),
    [
        ("parts", "torchscript"),
        ("parts", "pt2"),
        needs_onnx("parts", "onnx"),
        ("pose", "torchscript"),
        ("pose", "pt2"),
        needs_onnx("pose", "onnx"),
    ],
)
def test_a_file_predicts_what_the_model_does(checkpoints, files, image, task, file_format):
    found = files(task, file_format)
    assert found.comparison.relative < 1e-5
    if (task, file_format) == ("pose", "onnx"):
        assert found.path.stat().st_size < found.num_bytes / 2, "weights lie beside it"
    given = {"dtype": "float32", "flip": task == "parts"}
    model = load(task, checkpoints(task)[1], SMALL, **given)
    exported = load(task, found.path, OF_FILE, graph=True, **given)
    assert type(exported) is type(model) and isinstance(exported.model, ExportedModel)
    for name, values in predicted(exported(image)).items():
        expected = predicted(model(image))[name]
        np.testing.assert_allclose(values, expected, atol=1e-3, rtol=1e-3, err_msg=name)
    if task == "parts":
        assert exported.classes == model.classes


@pytest.mark.parametrize(
    ("task", "file_format", "ending"),
    [
        ("parts", "torchscript", "_float32_torchscript.pt2"),
        ("pose", "pt2", "_float32.pt2"),
        needs_onnx("parts", "onnx", "_float32.onnx"),
    ],
)
def test_a_file_says_what_it_is(checkpoints, files, task, file_format, ending):
    found = files(task, file_format)
    assert found.path.name == task + ending
    said = read_metadata(found.path)
    assert said == json.loads(json.dumps(found.metadata))
    assert (said["format"], said["task"], said["file"]) == (1, task, file_format)
    assert said["input"] == {
        "size_hw": [64, 48], "batch": "dynamic", "normalise": "outside", "color": "rgb",
        "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375],
    }  # fmt: skip
    assert said["config"] == CONFIGS[task] and len(said["source"]["sha256"]) == 64
    assert said["torch"] == str(torch.__version__) and "not known" in said["licence"]
    if task == "parts":
        assert said["output"] == {"size_hw": [16, 12], "channels": 19}
        assert len(said["classes"]) == len(said["palette"]) == 19 and said["background"] == 0
        left, right = said["flip_pairs"][0]
        assert {said["classes"][left], said["classes"][right]} == {"Left_eye", "Right_eye"} or (
            said["classes"][left].lower().startswith(("l", "r"))
        )
    else:
        points = said["keypoints"]
        assert len(points["names"]) == 17 and points["swap"][:3] == [0, 2, 1]
        assert [1, 2] in said["flip_pairs"] and said["box_padding"] == 1.25
        assert len(points["links"][0]) == 3 and len(points["sigmas"]) == 17
    assert ("opset" in said) == (file_format == "onnx")


def test_pixels_go_in_and_batches_have_a_size(checkpoints, files, image):
    found = files("normals", "torchscript", "float32", 2, "inside")
    graph = Graph(found.path, found.metadata, ON_CPU)
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 3, 64, 48), np.uint8))
    raw = graph(pixels)
    assert raw.shape[0] == 3 and graph.batch == 2
    torch.testing.assert_close(raw[2:], graph(pixels[2:]), atol=1e-5, rtol=1e-4)
    exported = load("normals", found.path, OF_FILE, graph=True)
    expected = load("normals", checkpoints("normals")[1], SMALL, dtype="float32")(image)
    np.testing.assert_allclose(exported(image).normals, expected.normals, atol=1e-3, rtol=1e-3)


def test_half_precision_is_near(checkpoints, files, image):
    found = files("features", "torchscript", "bfloat16")
    assert 1e-3 < found.comparison.relative < 8e-2
    _, checkpoint = checkpoints("features")
    assert found.num_bytes < 0.8 * checkpoint.stat().st_size
    exported = load("features", found.path, OF_FILE, graph=True)
    assert exported.dtype == "bfloat16"
    with pytest.raises(ConfigError, match="computes in bfloat16"):
        load("features", found.path, OF_FILE, graph=True, dtype="float32")
    expected = load("features", checkpoint, SMALL, dtype="float32")(image).features
    difference = exported(image).features - expected
    assert 0 < np.sqrt((difference**2).mean()) < 8e-2 * expected.std()


def test_half_precision_is_what_autocast_does(checkpoints):
    model = load("parts", checkpoints("parts")[1], SMALL, dtype="float32")
    network = ExportedNetwork(model.model, "bfloat16", normalise=False)
    images = torch.randn(2, 3, 64, 48).bfloat16()
    with torch.inference_mode():
        raw = network(images)
        with torch.autocast("cpu", torch.bfloat16):
            expected = model.model.forward_tensor(images.float()).float()
    assert (raw - expected).abs().max() < 0.02 * expected.std()
    assert {p.dtype for p in model.model.parameters()} == {torch.float32}


def test_weights_of_torchscript_and_safetensors_are_a_checkpoint(checkpoints, files, image):
    expected = load("parts", checkpoints("parts")[1], SMALL, dtype="float32")(image)
    for file_format in ("torchscript", "safetensors"):
        found = files("parts", file_format)
        model = load("parts", found.path, OF_FILE, dtype="float32")
        assert not isinstance(model.model, ExportedModel)
        np.testing.assert_array_equal(model(image).labels, expected.labels)
    with safe_open(found.path, framework="np") as file:
        assert json.loads(file.metadata()["mmsapiens"])["task"] == "parts"
    with pytest.raises(WeightsError, match=r"has no graph of an export.*Leave out --graph"):
        load("parts", found.path, OF_FILE, graph=True)


def test_a_program_is_opened_only_when_asked_for(files, tmp_path):
    found = files("pose", "pt2")
    with pytest.raises(ConfigError, match=r"may run code that is in it.*--graph"):
        mmsapiens.load((CONFIGS["pose"], found.path), device="cpu")
    marked = tmp_path / "marked.pt2"
    torch.save({"a": torch.zeros(2)}, marked)
    with pytest.raises(WeightsError, match="has no graph of an export"):
        mmsapiens.load((CONFIGS["pose"], marked), device="cpu", graph=True)


def test_a_wrong_weight_deletes_the_file(checkpoints, files, tmp_path):
    found = files("parts", "torchscript")

    def change(name, content):
        if "data/" in name and len(content) > 4000 and not changed:
            changed.append(name)
            numbers = np.frombuffer(content, np.float32).copy()
            numbers[: len(numbers) // 2] += 0.1
            return numbers.tobytes()
        return content

    changed = []
    path = rewrite(found.path, tmp_path / "wrong.pt2", change)
    images = torch.randn(2, 3, 64, 48)
    expected = Graph(found.path, found.metadata, ON_CPU)(images)
    made = Graph(path, found.metadata, ON_CPU)(images)
    assert changed and path.exists()
    comparison = compare(None, "parts", made, expected)
    with pytest.raises(WeightsError, match=r"wrong\.pt2 computes something else.*was deleted"):
        require_close(path, "float32", comparison)
    assert not path.exists() and found.path.exists()
    not_a_number = compare(None, "depth", made * float("nan"), expected)
    path.touch()
    with pytest.raises(WeightsError, match="not finite"):
        require_close(path, "float16", not_a_number)
    assert not path.exists()


def test_a_checkpoint_too_large_for_float16_leaves_no_file(checkpoints, tmp_path):
    cfg, checkpoint = checkpoints("parts")
    loaded = torch.load(checkpoint)
    loaded["state_dict"]["decode_head.conv_seg.weight"] *= 1e6
    torch.save(loaded, tmp_path / "large.pth")
    with pytest.raises(WeightsError, match=r"not finite.*Export float32"):
        export(cfg, tmp_path / "large.pth", tmp_path / "out", Options("torchscript", "float16"))
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("file_format", ["torchscript", "safetensors"])
def test_a_file_that_no_other_process_opens_is_not_kept(
    checkpoints, tmp_path, monkeypatch, file_format
):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(WeightsError, match="does not run in a process of its own"):
        export(*checkpoints("depth"), tmp_path, Options(file_format))
    assert not list(tmp_path.iterdir())


KILLED = """
import os, pathlib
from mmsapiens.export.writing import temporary_folder
with temporary_folder(pathlib.Path({folder!r})) as place:
    (place / "half.onnx").write_bytes(bytes(9))
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path):
    assert processes.run(["-c", KILLED.format(folder=str(tmp_path))]).returncode == -9
    (left,) = tmp_path.iterdir()
    with temporary_folder(tmp_path) as place:
        assert list(tmp_path.iterdir()) == [place] != [left]
        with temporary_folder(tmp_path) as other:
            assert place.exists(), "of an export that runs"
        assert not other.exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not shutil.which("g++"), reason="AOTInductor needs a C++ compiler")
def test_a_compiled_program_predicts_what_the_model_does(checkpoints, files, image):
    found = files("features", "pt2", aot=True)
    assert found.path.name == "features_float32_aot.pt2" and found.comparison.relative < 1e-5
    said = read_metadata(found.path)
    assert (said["file"], said["input"]["batch"]) == ("aot", "dynamic")
    with pytest.raises(ConfigError, match="may run code that is in it"):
        load("features", found.path, OF_FILE)
    with pytest.raises(ConfigError, match="was compiled for a CPU"):
        Graph(found.path, said, torch.device("meta"))
    exported = load("features", found.path, OF_FILE, graph=True)
    expected = load("features", checkpoints("features")[1], SMALL, dtype="float32")(image)
    np.testing.assert_allclose(exported(image).features, expected.features, atol=1e-4, rtol=1e-4)


def test_the_verb_exports_and_others_take_the_file(checkpoints, tmp_path, capsys, image):
    _, checkpoint = checkpoints("depth")
    arch = f"model.backbone.arch={TINIEST_ARCH}"
    words = ["export", CONFIGS["depth"], str(checkpoint), "--format", "torchscript"]
    words += ["--shape", "64", "48", "--output", str(tmp_path / "out")]
    cv2.imwrite(str(tmp_path / "a.png"), image)
    dispatch([*words, "--images", str(tmp_path / "a.png"), "--cfg-options", arch])
    assert "largest difference" in capsys.readouterr().out
    (path,) = (tmp_path / "out").iterdir()
    infer = ["infer", str(path), "--graph", "--input", str(tmp_path / "a.png"), "--device", "cpu"]
    infer += ["--output", str(tmp_path / "results"), "--num-workers", "0"]
    assert dispatch([*infer, "--cfg-options", arch]) == 0
    assert np.load(tmp_path / "results/a.npy").shape == (100, 80)
    with pytest.raises(WeightsError, match="is of depth, and the config of parts"):
        dispatch(["infer", CONFIGS["parts"], *infer[1:]])
    with pytest.raises(DataError, match=r"takes images of \(64, 48\)"):
        mmsapiens.load(path, graph=True, device="cpu", options={"input_size_hw": (32, 32)})(image)
    with pytest.raises(OutputError, match=r"exists.*--overwrite"):
        dispatch([*words, "--cfg-options", arch])


def test_figures_of_an_export_are_those_of_its_checkpoint(checkpoints, files, faces_dir, tmp_path):
    of_data = {k: v for k, v in face_options(faces_dir).items() if "dataloader" in k}
    words = [f"{k}={v}".replace(" ", "") for k, v in {**SMALL, **of_data}.items()]
    figures = []
    exported = files("parts", "torchscript").path
    for model in ([checkpoints("parts")[1]], [exported, "--graph"]):
        done = run_verb(tmp_path, "test", CONFIGS["parts"], *model, "--cfg-options", *words)
        assert done.returncode == 0, done.stderr[-3000:]
        figures.append(re.findall(r"m(?:IoU|Acc|Dice): [\d.]+", done.stdout))
    assert figures[0] and figures[0] == figures[1]
    assert "ExportedModel" in done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["tflite"], "format: expected torchscript or pt2 or onnx or safetensors"),
        (["onnx", "bfloat16"], "no convolutions of bfloat16"),
        (["onnx", "float64"], "dtype: expected float32 or"),
        (["torchscript", "float32", 0], "a number from 1"),
        (["torchscript", "float32", None, "within"], "normalise: expected inside or outside"),
        (["safetensors", "float32", 2], "hold weights and no graph"),
        (["onnx", "float32", None, "outside", True], "format pt2; found onnx"),
    ],
)
def test_options_that_contradict_are_a_sentence(options, said):
    with pytest.raises(ConfigError, match=said):
        Options(*options)


def test_a_folder_that_cannot_be_written_is_a_sentence(checkpoints, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        export(*checkpoints("depth"), tmp_path / "file" / "out", Options("torchscript"))


def test_aot_needs_a_compiler(checkpoints, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"there is no no-such-compiler.*leave out --aot"):
        export(*checkpoints("depth"), tmp_path, Options("pt2", aot=True))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2, and this version reads up to 1"),
        ({"format": "1"}, "no number of a format"),
        ({"dtype": "int8", "output": 3}, r"lacks dtype, output\.channels"),
        ({"input": {"size_hw": [64], "batch": 0}}, r"lacks input\.size_hw, input\.batch"),
        ({"input": None}, r"lacks input\.size_hw"),
        ({"output": {"channels": 5}}, "has 5 outputs, and the model of the config 19"),
        ({"file": "tensorrt"}, "has no graph"),
    ],
)
def test_metadata_of_others_is_checked(files, tmp_path, change, said):
    found = files("parts", "torchscript")
    text = json.dumps({**found.metadata, **change}).encode()
    path = rewrite(
        found.path, tmp_path / "a.pt2", lambda name, old: text if "mmsapiens" in name else old
    )
    with pytest.raises(WeightsError, match=said):
        mmsapiens.load((CONFIGS["parts"], path), graph=True, device="cpu")


def test_a_file_that_another_torch_wrote_is_a_sentence(files, tmp_path):
    text = json.dumps({**files("parts", "torchscript").metadata, "torch": "2.3.1", "file": "pt2"})
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("old/extra/mmsapiens.json", text)
    with pytest.raises(WeightsError, match=r"by torch 2\.3\.1.*Export its checkpoint"):
        load("parts", tmp_path / "old.pt2", OF_FILE, graph=True)


def test_a_truncated_file_is_a_sentence(files, tmp_path):
    whole = files("parts", "torchscript").path.read_bytes()
    path = Path(tmp_path, "cut.pt2")
    path.write_bytes(whole[: len(whole) // 2])
    assert not zipfile.is_zipfile(path)
    with pytest.raises(WeightsError, match=r"cut\.pt2 has no graph of an export"):
        mmsapiens.load((CONFIGS["parts"], path), graph=True, device="cpu")
