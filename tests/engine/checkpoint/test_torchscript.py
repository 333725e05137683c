"""TorchScript files as the release has them: read like the ``.pth`` they were made from."""

from __future__ import annotations

import copy
import os
import pickle
import zipfile
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from engine.checkpoint import apply_weights, load_weights, probe, read_checkpoint, torchscript
from engine.config import load_config
from engine.errors import WeightsError
from engine.model.base import build_model
from mmsapiens.shipped import find_config
from tests.conftest import TINIEST_ARCH
from tests.torchscript_files import rewrite, save_torchscript

CONFIGS = {
    "parts": "seg/synthetic_parts/sapiens_tiny_synthetic_parts-192x144",
    "lip": "seg/synthetic_parts/sapiens_tiny_synthetic_lip-192x144",
    "face": "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144",
    "depth": "depth/synthetic/sapiens_tiny_synthetic_depth-192x144",
    "normal": "normal/synthetic/sapiens_tiny_synthetic_normal-192x144",
    "pose-17": "pose/synthetic/sapiens_tiny_synthetic_coco-192x144",
    "pose-133": "pose/synthetic/sapiens_tiny_synthetic_coco_wholebody-192x144",
    "pose-308": "pose/synthetic/sapiens_tiny_synthetic_goliath-192x144",
    "pretrain": "pretrain/features/sapiens_tiny_features-256x256",
}
SAID = {
    "parts": "segmentation (28 classes)",
    "lip": "segmentation (20 classes)",
    "face": "segmentation (19 classes)",
    "depth": "depth (1 channel)",
    "normal": "normals (3 channels)",
    "pose-17": "pose (17 keypoints)",
    "pose-133": "pose (133 keypoints)",
    "pose-308": "pose (308 keypoints)",
    "pretrain": "a pretrained backbone",
}
SIZE_HW = (64, 48)
IMAGES = torch.randn(1, 3, *SIZE_HW, generator=torch.Generator().manual_seed(0))


@cache
def config(task):
    cfg = load_config(find_config(CONFIGS[task]), {"input_size_hw": SIZE_HW})
    cfg.model.backbone.arch = TINIEST_ARCH
    return cfg


def make(task, seed=0):
    """A small model of a task, with other weights for another seed."""
    init_default_scope(config(task).default_scope)
    torch.manual_seed(seed)
    model = build_model(copy.deepcopy(config(task).model)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    return model


def save(model, path):
    """Writes a model's TorchScript file; returns where."""
    return save_torchscript(model, path, IMAGES.to(next(model.parameters()).dtype))


def output(model):
    with torch.no_grad():
        found = model(IMAGES)
    return found[0] if isinstance(found, tuple) else found


@pytest.fixture(scope="module")
def depth(tmp_path_factory):
    """A model and its file."""
    model = make("depth")
    return model, save(model, tmp_path_factory.mktemp("depth") / "depth_torchscript.pt2")


# ---- what is read


@pytest.mark.parametrize("task", CONFIGS)
def test_every_task_loads_as_from_its_pth(task, tmp_path):
    model = make(task)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, tmp_path / "a.pth")
    save(model, tmp_path / "a_torchscript.pt2")
    loaded = [make(task, seed=1), make(task, seed=2)]
    reports = [
        load_weights(target, tmp_path / name)
        for target, name in zip(loaded, ("a.pth", "a_torchscript.pt2"), strict=True)
    ]
    assert reports[0].matched == reports[1].matched and not reports[1].unexpected
    found = probe(read_checkpoint(tmp_path / "a_torchscript.pt2")["state_dict"])
    assert str(found) == SAID[task] and found.arch == (48, 2) and found.input_size_hw == SIZE_HW
    count = SAID[task].partition("(")[2].partition(" ")[0]
    assert found.num_outputs == (int(count) if count else None)
    assert not torch.equal(output(make(task, seed=1)), output(model))
    assert torch.equal(output(loaded[0]), output(model))
    assert torch.equal(output(loaded[1]), output(model))


class Named(nn.Module):
    """A model within others."""

    def __init__(self, model):
        super().__init__()
        self.net = nn.ModuleDict({"model": model})

    def forward(self, x):
        return self.net["model"](x)


@pytest.mark.parametrize("task", ["parts", "pose-17"])
@pytest.mark.parametrize(
    "wrap",
    [
        Named,
        lambda model: nn.Sequential(
            model.backbone, model.head if hasattr(model, "head") else model.decode_head
        ),
    ],
    ids=["within", "sequence"],
)
def test_whatever_it_was_called_when_it_was_traced(task, wrap, tmp_path):
    model, other = make(task), make(task, seed=1)
    path = save(wrap(model), tmp_path / "a.pt2")
    load_weights(other, path)
    assert torch.equal(output(other), output(model))


def test_a_backbone_alone_starts_a_model(tmp_path):
    path = save(make("pretrain").backbone, tmp_path / "a.pt2")
    report = load_weights(make("depth"), path, allow_missing="decode_head")
    assert {key.partition(".")[0] for key in report.missing} == {"decode_head"}


def test_half_precision(tmp_path):
    model = make("depth").bfloat16()
    path = save(model, tmp_path / "a.pt2")
    for name, value in read_checkpoint(path)["state_dict"].items():
        assert torch.equal(value, model.state_dict()[name])


# ---- other tasks


@pytest.mark.parametrize("theirs", ["parts", "normal", "pose-17", "pretrain"])
def test_a_file_of_another_task_is_refused_by_the_names_of_both(theirs, depth, tmp_path):
    path = save(make(theirs), tmp_path / "a.pt2")
    with pytest.raises(WeightsError) as caught:
        load_weights(make("depth"), path)
    text = f"looks like {SAID[theirs]}, and the model is one of depth (1 channel)."
    assert text in str(caught.value) and str(path) in str(caught.value)


def test_so_is_one_of_other_classes_or_keypoints():
    for ours, theirs in (("parts", "lip"), ("pose-17", "pose-133")):
        with pytest.raises(WeightsError) as caught:
            apply_weights(make(ours), make(theirs).state_dict())
        assert f"looks like {SAID[theirs]}, and the model is one of {SAID[ours]}" in str(
            caught.value
        )


# ---- nothing of it runs, and what is damaged is said


def with_pickle(depth, tmp_path, content: bytes) -> Path:
    return rewrite(
        depth[1], tmp_path / "a.pt2", lambda name, old: content if name == "data.pkl" else old
    )


def test_the_code_is_not_run(depth, tmp_path):
    def spoil(name, content):
        is_code = name.startswith("code/") and name.endswith(".py")
        return content.replace(b"def ", b"no program ") if is_code else content

    path = rewrite(depth[1], tmp_path / "a.pt2", spoil)
    with pytest.raises(RuntimeError):
        torch.jit.load(path)
    assert read_checkpoint(path)["state_dict"].keys() == depth[0].state_dict().keys()


class Malicious:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("trust", [False, True])
def test_other_names_than_of_modules_and_tensors_are_refused(depth, tmp_path, trust):
    path = with_pickle(depth, tmp_path, pickle.dumps(Malicious(tmp_path / "made"), 2))
    with pytest.raises(WeightsError, match=r"a\.pt2 is TorchScript that contains \w+\.mkdir"):
        read_checkpoint(path, trust=trust)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"N.", "is TorchScript, but no module"),
        (b"c__torch__\nM\n)\x81}b.", "weights have no names"),
        (b"c__torch__\nM\n)\x81c__torch__\nM\nb.", "was cut short"),
        (b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI7\ntQ.", "of another size or place"),
        (b"(Vstorage\nctorch\nFloatStorage\nV99\nVcpu\nI7\ntQ.", "was cut short"),
        (b"(Vmodule\nctorch\nFloatStorage\nV0\nVcpu\nI7\ntQ.", "contains module"),
        (b"c__torch__\nM\n", "was cut short"),
        (b"]r\xff\xff\xff\x3f.", "numbers its values beyond their count"),
        (b"", "was cut short"),
    ],
)
def test_pickles_that_are_wrong(depth, tmp_path, content, message):
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(with_pickle(depth, tmp_path, content))


def test_a_tensor_does_not_reach_beyond_its_storage(depth, tmp_path):
    state = read_checkpoint(depth[1])["state_dict"]
    number = state["backbone.ln1.bias"]
    assert number.untyped_storage().nbytes() == 4 * len(number)
    for layout in (
        (number, 1, (48,), (1,)),
        (number, 0, (48,), (-1,)),
        (number, 0, (2**40,), (1,)),
    ):
        with pytest.raises(RuntimeError):
            torchscript._tensor(*layout)


def test_modules_that_are_many_times_in_others_end(depth, tmp_path, monkeypatch):
    monkeypatch.setattr(torchscript, "_MAX_VALUES", 10_000)
    inner = b"c__torch__\nM\n)\x81}b"
    for level in range(20):  # each holds the one before it twice
        inner += b"p%d\n0c__torch__\nM\n)\x81}(Va\ng%d\nVb\ng%d\nub" % (level, level, level)
    with pytest.raises(WeightsError, match="more than 10,000 values"):
        read_checkpoint(with_pickle(depth, tmp_path, inner + b"."))
    circle = b"c__torch__\nM\n)\x81p0\n}(Va\ng0\nub."
    with pytest.raises(WeightsError, match="recursion"):
        read_checkpoint(with_pickle(depth, tmp_path, circle))


def test_a_flipped_bit_a_cut_and_another_packing_are_noticed(depth, tmp_path):
    path, content = tmp_path / "a.pt2", depth[1].read_bytes()
    bias = depth[0].backbone.ln1.bias.detach().numpy().tobytes()
    at = content.index(bias)
    path.write_bytes(content[: at + 6] + bytes([content[at + 6] ^ 1]) + content[at + 7 :])
    with pytest.raises(WeightsError, match="Bad CRC-32"):
        read_checkpoint(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="was cut short"):
        read_checkpoint(path)
    with zipfile.ZipFile(depth[1]) as archive, zipfile.ZipFile(path, "w", 8) as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    with pytest.raises(WeightsError, match="packed again"):
        read_checkpoint(path)


def test_a_program_of_torch_export_is_no_checkpoint(tmp_path):
    path = tmp_path / "a_bfloat16.pt2"
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)), path)
    with pytest.raises(WeightsError, match=r"program of torch\.export.*Give the \.pth file"):
        read_checkpoint(path)
