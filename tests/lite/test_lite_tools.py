"""What the tools of lite/ write, refuse and say."""

import copy
import json
import os
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import ROOT
from tests.lite.conftest import RELEASED, SIZE_HW


def run_process(words, **options):
    """Runs Python; its own processes start from the script's path, which a fork would not know."""
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, **options)


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_files_of_the_guide(exported, photos, tmp_path, lite):
    """By default in INPUT/output, which a second run does not take for input."""
    model = exported("parts").path
    for _ in range(2):
        assert lite("vis_seg", model, "--input", photos, "--title", "x", "--save-format=jpg") == 0
    stems, endings = ("a", "b", "deep/c"), (".json", ".npy", "_seg.npy", "_x.jpg")
    assert names(photos / "output") == sorted(f"{s}{e}" for s in stems for e in endings)


@pytest.mark.parametrize("regions", ["polygon", "rle"])
def test_the_json_says_what_the_labels_are(exported, photos, tmp_path, lite, regions):
    model = exported("parts").path
    words = ["--input", photos, "--output_root", tmp_path / "out", "--regions", regions]
    assert lite("vis_seg", model, *words) == 0
    labels = np.load(tmp_path / "out/a_seg.npy")
    found = json.loads((tmp_path / "out/a.json").read_text())
    assert (found["height"], found["width"]) == labels.shape
    present = {row["id"]: row for row in found["labels"]}
    assert sorted(present) == np.unique(labels).tolist()
    for label, row in present.items():
        assert row["area"] == (labels == label).sum()
        assert row["share"] == pytest.approx(row["area"] / labels.size, abs=1e-6)
        assert row["name"] == RELEASED["parts"]["28"]["classes"][label]
        assert row["color"] == RELEASED["parts"]["28"]["palette"][label]
    shapes = {region["id"]: region for region in found["regions"]}
    assert sorted(shapes) == [label for label in present if label]
    for label, region in shapes.items():
        rows, columns = np.nonzero(labels == label)
        x, y, width, height = region["bbox"]
        assert (x, y) == (columns.min(), rows.min())
        assert (width, height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert {"polygon": "polygons", "rle": "rle"}[regions] in region


def test_the_picture_is_the_image_under_the_colours(exported, photos, tmp_path, lite):
    for opacity in (0, 1):
        words = ["--input", photos / "b.png", "--output_root", tmp_path, "--opacity", opacity]
        assert lite("vis_seg", exported("parts").path, *words) == 0
        picture = cv2.imread(str(tmp_path / "b_result.png"))
        labels = np.load(tmp_path / "b_seg.npy")
        colours = np.array(RELEASED["parts"]["28"]["palette"], np.uint8)[labels][..., ::-1]
        expected = colours if opacity else cv2.imread(str(photos / "b.png"))
        np.testing.assert_array_equal(picture, expected)


def test_a_broken_image_is_named_and_the_others_are_done(exported, photos, tmp_path, lite, capfd):
    whole = (photos / "a.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out"
    assert lite("vis_seg", exported("parts").path, "--input", photos, "--output_root", out) == 1
    said = capfd.readouterr()
    assert "cut.jpg" in said.err and "cut short" in said.err and "Traceback" not in said.err
    assert "3 of 4 images done" in said.out
    assert len(names(out)) == 12 and not [name for name in names(out) if "cut" in name]


def test_errors_of_processes_reach_the_exit_code(exported, photos, tmp_path):
    """As the guide runs it, from inside lite/, with processes that read and write."""
    (photos / "cut.png").write_bytes((photos / "b.png").read_bytes()[:-20])
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_seg.npy").mkdir()  # which a file cannot replace
    command = ["./demo/vis_seg.py", exported("parts").path, "--input", photos]
    command += ["--output_root", out, "--batch_size", 2, "--num_workers", 1]
    done = run_process(command, cwd=ROOT / "lite")
    assert done.returncode == 1, done.stderr[-2000:]
    assert "cut.png" in done.stderr and "a_seg.npy cannot be written" in done.stderr
    assert "2 of 4 images done" in done.stdout and "Traceback" not in done.stderr
    assert {"b_seg.npy", "deep/c.json"} <= set(names(out))
    assert not [name for name in names(out) if "/." in f"/{name}"]


def test_shares_are_even_and_make_up_the_whole(exported, photos, tmp_path, lite, capfd):
    model, found = exported("features").path, []
    for part in range(1, 5):
        out = tmp_path / str(part)
        words = ["--input", photos, "--output_root", out, "--shard", f"{part}/4"]
        assert lite("extract_feature", model, *words) == 0
        found.append(names(out))
    assert found == [["a.npy"], ["b.npy"], ["deep/c.npy"], []]


def expect(lite, capfd, code, *words):
    """Runs vis_seg, which must end with that code and without a traceback; returns what it said."""
    assert lite("vis_seg", *words) == code
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return said


def test_what_is_no_export_is_one_sentence(exported, photos, tmp_path, lite, capfd):
    model = exported("parts")

    def refused(path, *words):
        said = expect(lite, capfd, 2, path, "--input", photos, *words)
        assert len(said.strip().splitlines()) <= 2 and str(path) in said
        return said

    assert "mmsapiens export CONFIG CHECKPOINT" in refused(model.checkpoint)
    torch.save({"a": torch.zeros(1)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert "no exported model" in refused(tmp_path / "old.pth")
    cut = tmp_path / "cut.pt2"
    cut.write_bytes(model.path.read_bytes()[:-500])
    assert "cut short or damaged" in refused(cut)
    assert "does not exist" in refused(tmp_path / "none.pt2")
    (tmp_path / "a.onnx").write_bytes(b"no onnx")
    assert "cannot be opened by ONNX Runtime" in refused(tmp_path / "a.onnx")
    assert "takes 96x64" in refused(model.path, "--shape", 1024, 768)
    assert "use vis_depth.py" in refused(exported("depth").path).replace("Use", "use")
    later = model.save(tmp_path / "later.pt2", format=2, mmsapiens="9.0")
    assert "version 2" in refused(later) and "mmsapiens 9.0" in refused(later)
    assert "leave out the slash" in expect(
        lite, capfd, 2, model.path, "--input", photos, "--title", "a/b"
    )
    assert "metadata are damaged" in refused(model.save(tmp_path / "odd.pt2", input={}))
    assert "--device cuda:7 is not there" in refused_device(lite, capfd, model.path, photos)


def refused_device(lite, capfd, model, photos):
    return expect(lite, capfd, 2, model, "--input", photos, "--device", "cuda:7")


def test_a_file_of_an_old_torch_is_named(photos, tmp_path, lite, capfd):
    path = tmp_path / "sapiens_1b_goliath_best_goliath_mIoU_7994_epoch_151_bfloat16.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("version", "5.1")
    said = expect(lite, capfd, 2, path, "--input", photos)
    assert "old torch 2.3 (schema 5.1)" in said and "*_torchscript.pt2" in said


def test_inputs_and_outputs_that_cannot_be(exported, photos, tmp_path, lite, capfd):
    model = exported("parts").path
    said = expect(lite, capfd, 2, model, "--input", tmp_path / "none")
    assert "does not exist" in said
    (tmp_path / "empty").mkdir()
    assert "no images" in expect(lite, capfd, 2, model, "--input", tmp_path / "empty")
    listed = tmp_path / "list.txt"
    listed.write_text("in/x.jpg\nin/y.jpg\n")
    assert "none of its 2 images exists" in expect(lite, capfd, 2, model, "--input", listed)
    listed.write_text(f"# photos\nin/a.jpg\nin/x.jpg\n{photos / 'b.png'}\n")
    out = ["--output_root", tmp_path / "out"]
    assert "x.jpg does not exist" in expect(lite, capfd, 1, model, "--input", listed, *out)
    assert len(names(tmp_path / "out")) == 8
    said = expect(lite, capfd, 2, model, "--input", photos, "--output_root", listed / "below")
    assert "cannot be written" in said
    (photos / "a_seg.jpg").write_bytes((photos / "a.jpg").read_bytes())
    assert "would both be written" in expect(lite, capfd, 2, model, "--input", photos, *out)


@pytest.mark.parametrize("words", [["--opacity", "2"], ["--batch-size", "0"], ["--shard", "3/2"]])
def test_values_out_of_range_are_refused(exported, photos, lite, capfd, words):
    said = expect(lite, capfd, 2, exported("parts").path, "--input", photos, *words)
    assert words[0].replace("-", "_").replace("__", "--") in said and words[1] in said


class Traced(nn.Module):
    """A released file: one that says nothing of itself, and takes only the batch of its trace."""

    def __init__(self, channels, takes_any):
        super().__init__()
        self.conv, self.takes_any = nn.Conv2d(3, channels, 4, 4), takes_any

    def forward(self, images):
        maps = self.conv(images)
        return maps if self.takes_any else maps.view(1, *(int(n) for n in maps.shape[1:]))


@pytest.mark.parametrize("takes_any", [True, False])
def test_released_files_are_told_by_name_and_channels(photos, tmp_path, lite, capfd, takes_any):
    torch.manual_seed(0)
    place = tmp_path / "seg/checkpoints/sapiens_1b"
    place.mkdir(parents=True)
    path = place / "sapiens_1b_goliath_best_goliath_mIoU_7994_epoch_151_torchscript.pt2"
    traced = torch.jit.trace(Traced(28, takes_any).eval(), torch.zeros(1, 3, *SIZE_HW))
    torch.jit.save(traced, str(path))
    words = ["--input", photos, "--output_root", tmp_path / "out", "--shape", *SIZE_HW]
    assert lite("vis_seg", path, *words) == 0
    said = capfd.readouterr()
    assert ("takes one image at a time" in said.err) == (not takes_any)
    labels = {row["name"] for row in json.loads((tmp_path / "out/a.json").read_text())["labels"]}
    words += ["--batch_size", 1]
    assert lite("vis_seg", path, *words) == 0
    assert "at a time" not in capfd.readouterr().err
    assert labels <= set(RELEASED["parts"]["28"]["classes"]) and len(labels) > 1
    assert lite("vis_depth", path, *words) == 2
    assert "Use vis_seg.py" in capfd.readouterr().err
    wrong = path.rename(tmp_path / "sapiens_1b_normal_torchscript.pt2")
    assert lite("vis_normal", wrong, *words) == 2
    assert "named as a model of normals, but has 28" in capfd.readouterr().err
    del words[-5:]
    if not takes_any:
        assert lite("vis_seg", wrong.rename(path), *words) == 2
        assert "Give --shape" in capfd.readouterr().err


def test_the_tables_of_released_models_are_those_of_the_project():
    from pose.metainfo import parse_metainfo
    from seg.parts.datasets import FaceDataset, GoliathDataset, LIPDataset

    for dataset in (FaceDataset, GoliathDataset, LIPDataset):
        meta = dataset.METAINFO
        known = RELEASED["parts"][str(len(meta["classes"]))]
        assert known["classes"] == list(meta["classes"])
        assert known["palette"] == [list(colour) for colour in meta["palette"]]
    for name in ("coco", "coco_wholebody", "goliath"):
        meta = parse_metainfo(name)
        known = RELEASED["pose"][str(meta.num_keypoints)]
        assert known["names"] == list(meta.keypoints)
        assert known["swap"] == list(meta.keypoint_swap_indices)
        assert known["links"] == json.loads(json.dumps(meta.links))
        assert known["colors"] == json.loads(json.dumps(meta.colors))


def test_a_program_of_torch_export_and_a_fixed_batch(exported, photos, tmp_path, lite):
    torch.manual_seed(0)
    meta = exported("parts").metadata(file="pt2")
    model, images = Traced(28, takes_any=True).eval(), torch.zeros(2, 3, *SIZE_HW)
    sizes = {"dynamic": {0: torch.export.Dim("batch", max=64)}, 2: None}
    labels = []
    for batch, shapes in sizes.items():
        program = torch.export.export(model, (images,), dynamic_shapes=(shapes,))
        inputs = {**meta["input"], "batch": batch}
        extra = {"mmsapiens.json": json.dumps({**meta, "input": inputs})}
        torch.export.save(program, tmp_path / "model.pt2", extra_files=extra)
        out = tmp_path / str(batch)
        words = ["--input", photos, "--output_root", out]
        assert lite("vis_seg", tmp_path / "model.pt2", *words) == 0
        labels.append([np.load(out / f"{stem}_seg.npy") for stem in ("a", "b", "deep/c")])
    for one, other in zip(*labels, strict=True):
        np.testing.assert_array_equal(one, other)


class Normalising(nn.Module):
    """Takes uint8."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1))
        self.register_buffer("std", torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1))

    def forward(self, images):
        return self.model((images.float() - self.mean) / self.std)


def test_files_of_other_inputs_and_precisions_give_the_same(exported, photos, tmp_path, lite):
    torch.manual_seed(0)
    meta, images = exported("depth").metadata(), torch.zeros(2, 3, *SIZE_HW)
    model = Traced(1, takes_any=True).eval()
    inside = {**meta, "input": {**meta["input"], "normalise": "inside"}}
    files = [(model, images, meta), (Normalising(model), images.byte(), inside)]
    depths = []
    for kind in ("float32", "float16", "bfloat16"):
        dtype = getattr(torch, kind)
        files.append((copy.deepcopy(model).to(dtype), images.to(dtype), {**meta, "dtype": kind}))
    for i, (module, example, described) in enumerate(files):
        extra = {"mmsapiens.json": json.dumps(described)}
        path = tmp_path / f"{i}.pt2"
        torch.jit.save(torch.jit.trace(module, example), str(path), _extra_files=extra)
        words = ["--input", photos / "a.jpg", "--output_root", tmp_path / str(i)]
        assert lite("vis_depth", path, *words) == 0
        depths.append(np.load(tmp_path / str(i) / "a.npy"))
    for depth, most in zip(depths[1:], (1e-5, 0, 5e-3, 5e-2), strict=True):
        assert np.abs(depth - depths[0]).max() <= most * np.ptp(depths[0])


def test_a_program_of_another_torch_is_said_to_be_one(exported, photos, tmp_path, lite, capfd):
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/archive_format", "pt2")
        meta = exported("parts").metadata(torch="9.9.0")
        archive.writestr("model/extra/mmsapiens.json", json.dumps(meta))
    said = expect(lite, capfd, 2, path, "--input", photos)
    assert f"cannot be opened by torch {torch.__version__}" in said
    assert "made by torch 9.9.0" in said
    said = expect(lite, capfd, 2, path, "--input", photos, "--fp16")
    assert "export it with --dtype float16" in said


def test_a_mirror_needs_to_know_what_it_swaps(exported, photos, tmp_path, lite, capfd):
    path = exported("pose").save(tmp_path / "model.pt2", keypoints=None)
    assert lite("vis_pose", path, "--input", photos, "--flip") == 2
    assert "which keypoints a mirror exchanges" in capfd.readouterr().err


def test_half_precision_is_near_to_single(exported, photos, tmp_path, lite):
    for words in ([], ["--fp16"]):
        out = tmp_path / f"out{len(words)}"
        command = ["--input", photos / "b.png", "--output_root", out, *words]
        assert lite("vis_depth", exported("depth").path, *command) == 0
    single, half = (np.load(tmp_path / f"out{n}/b.npy") for n in (0, 1))
    assert 0 < np.abs(single - half).max() < 0.02 * np.ptp(single)


def test_keypoints_are_drawn_where_they_are(exported, photos, tmp_path, lite, capfd):
    boxes = tmp_path / "boxes.json"
    boxes.write_text('{"b.png": [[20, 10, 180, 100], [500, 500, 600, 600]]}')
    words = ["--input", photos / "b.png", "--output_root", tmp_path, "--det-checkpoint", boxes]
    words += ["--kpt_thr", -100, "--radius", 1]
    assert lite("vis_pose", exported("pose").path, *words) == 1
    assert "the box (500, 500, 600, 600)" in capfd.readouterr().err
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["meta"] == {"image": "b.png", "width": 200, "height": 110, "keypoint_set": "coco"}
    (person,) = found["instance_info"]
    picture, image = (cv2.imread(str(folder / "b.png")) for folder in (tmp_path, photos))
    changed = (picture != image).any(axis=2)
    inside = [(x, y) for x, y in person["keypoints"] if 1 <= x < 198 and 1 <= y < 108]
    assert inside and all(changed[round(y), round(x)] for x, y in inside)
    assert lite("vis_pose", exported("pose").path, *words, "--num-keypoints", 133) == 2
    assert "has 17 keypoints, not 133" in capfd.readouterr().err


def test_a_detector_finds_the_people(exported, tmp_path, lite):
    """The detector of the tests boxes what is dark."""
    image = np.full((80, 120, 3), 255, np.uint8)
    image[20:60, 30:50] = 0
    cv2.imwrite(str(tmp_path / "a.png"), image)
    words = ["--input", tmp_path / "a.png", "--output_root", tmp_path / "out"]
    words += ["--det-checkpoint", ROOT / "tests/golden/detector.onnx"]
    assert lite("vis_pose", exported("pose").path, *words) == 0
    from pose.infer.detector import OnnxDetector

    expected = OnnxDetector(ROOT / "tests/golden/detector.onnx")(image, "")
    (found,) = json.loads((tmp_path / "out/a.json").read_text())["instance_info"]
    assert [*found["bbox"], found["bbox_score"]] == pytest.approx(expected[0].tolist())


def test_depth_without_its_mask_fails_alone(exported, photos, tmp_path, lite, capfd):
    masks = tmp_path / "masks"
    masks.mkdir()
    np.save(masks / "a.npy", np.ones((250, 170), bool))
    np.save(masks / "b.npy", np.ones((110, 200), np.float32))
    words = ["--input", photos, "--seg_dir", masks, "--output_root"]
    assert lite("vis_depth", exported("depth").path, *words, tmp_path / "out") == 1
    said = capfd.readouterr()
    assert "b.png" in said.err and "Is it depth rather than a mask?" in said.err
    assert "deep/c.png: no mask" in said.err and "1 of 3 images done" in said.out
    assert lite("vis_depth", exported("depth").path, *words, masks) == 2
    assert "would replace the masks" in capfd.readouterr().err


NOTHING_OF_OURS = """
import sys
sys.path.insert(0, {lite!r})
{first}
import importlib, pathlib, runpy
for path in pathlib.Path({lite!r}, "sapiens_lite").glob("*.py"):
    importlib.import_module("sapiens_lite." + path.stem)
for path in pathlib.Path({lite!r}, "demo").glob("*.py"):
    runpy.run_path(str(path))
tops = {{name.partition(".")[0] for name in sys.modules}}
print(sorted(tops & {{"engine", "pretrain", "seg", "pose", "mmsapiens", "mmengine", "mmcv", "torch",
                      "onnxruntime"}}))
"""


def test_importing_needs_neither_ours_nor_mmengine_nor_torch(tmp_path):
    code = NOTHING_OF_OURS.format(lite=str(ROOT / "lite"), first="")
    done = run_process(["-c", code], cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]


def onnx_of_labels(path, metadata):
    """A model of one convolution, in ONNX."""
    from onnx import TensorProto, helper, numpy_helper, save

    weights = np.random.default_rng(0).normal(size=(28, 3, 4, 4)).astype(np.float32)
    sides = ["batch", 3, *SIZE_HW], ["batch", 28, SIZE_HW[0] // 4, SIZE_HW[1] // 4]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in zip(("images", "maps"), sides, strict=True)
    ]
    node = helper.make_node("Conv", ["images", "weights"], ["maps"], strides=[4, 4])
    initial = [numpy_helper.from_array(weights, "weights")]
    graph = helper.make_graph([node], "model", values[:1], values[1:], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"mmsapiens": json.dumps(metadata)})
    save(model, str(path))
    return weights


@pytest.mark.parametrize("workers", [0, 1])
def test_onnx_runs_without_torch(exported, photos, tmp_path, lite, workers):
    """And gives what torch gives with the same weights."""
    meta = exported("parts").metadata(file="onnx")
    weights = onnx_of_labels(tmp_path / "model.onnx", meta)
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("raise ImportError('there is no torch')")
    command = [ROOT / "lite/demo/vis_seg.py", tmp_path / "model.onnx", "--input", photos]
    command += ["--output_root", tmp_path / "onnx", "--num_workers", workers]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run_process(command, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    model = Traced(28, takes_any=True).eval()
    model.conv.weight.data = torch.from_numpy(weights)
    nn.init.zeros_(model.conv.bias)
    extra = {"mmsapiens.json": json.dumps(meta)}
    traced = torch.jit.trace(model, torch.zeros(2, 3, *SIZE_HW))
    torch.jit.save(traced, str(tmp_path / "model.pt2"), _extra_files=extra)
    out = tmp_path / "ts"
    assert lite("vis_seg", tmp_path / "model.pt2", "--input", photos, "--output_root", out) == 0
    for stem in ("a", "b", "deep/c"):
        one, other = (np.load(tmp_path / kind / f"{stem}_seg.npy") for kind in ("onnx", "ts"))
        assert (one != other).mean() < 1e-4 and len(np.unique(one)) > 5
