"""Every form of a checkpoint that convert_checkpoint writes loads as the source does."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from engine.checkpoint import load_weights, model_meta, read_checkpoint
from engine.errors import ConfigError, OutputError, WeightsError
from mmsapiens.cli import dispatch
from mmsapiens.conversion import convert_checkpoint, describe_checkpoint
from pretrain import MAE, VisionTransformer
from tests.torchscript_files import save_torchscript

SMALL = {"embed_dims": 32, "num_layers": 2, "num_heads": 4, "feedforward_channels": 64}


def make_mae():
    return MAE(
        {"type": "MAEViT", "arch": SMALL, "img_size": 64},
        {
            "type": "MAEPretrainDecoder",
            "decoder_embed_dim": 32,
            "decoder_depth": 1,
            "decoder_num_heads": 2,
        },
        {"type": "MAEPretrainHead", "loss": {"type": "PixelReconstructionLoss"}},
    )


@pytest.fixture
def model():
    return make_mae()


@pytest.fixture
def source(model, tmp_path):
    """A checkpoint as a training saves it."""
    content = {
        "state_dict": model.state_dict(),
        "meta": {**model_meta(model), "epoch": 3, "palette": np.eye(3, dtype=np.uint8)},
        "optimizer": {"state": {0: torch.zeros(1000)}},
        "message_hub": {},
    }
    torch.save(content, tmp_path / "epoch_3.pth")
    return tmp_path / "epoch_3.pth"


def assert_same(tensors, others):
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[key], others[key]) for key in tensors)


@pytest.mark.parametrize("suffixes", [[".pth"], [".safetensors"], [".safetensors", ".pth"]])
def test_whole_models_keep_weights_and_meta(source, model, suffixes, tmp_path):
    path = source
    for index, suffix in enumerate(suffixes):
        target = tmp_path / "new" / f"{index}{suffix}"
        dropped = convert_checkpoint(path, target)
        assert dropped == (("optimizer", "message_hub") if index == 0 else ())
        path = target
    other = make_mae()
    report = load_weights(other, path)
    assert not report.missing and not report.unexpected
    assert_same(other.state_dict(), model.state_dict())
    meta = read_checkpoint(path)["meta"]
    assert tuple(meta["grid_hw"]) == (4, 4) and meta["arch"] == SMALL and meta["epoch"] == 3
    assert np.array_equal(meta["palette"], np.eye(3))
    assert [p.name for p in path.parent.iterdir() if p.suffix == ".tmp"] == []
    assert path.stat().st_mode == source.stat().st_mode


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("again", [False, True])
def test_backbones_are_flat_as_the_released_ones(source, model, suffix, again, tmp_path):
    path = tmp_path / f"mae_clean{suffix}"
    convert_checkpoint(source, path, backbone_only=True)
    if again:
        convert_checkpoint(path, tmp_path / f"again{suffix}", backbone_only=True)
        path = tmp_path / f"again{suffix}"
    if suffix == ".pth":
        assert_same(torch.load(path), model.backbone.state_dict())
    else:
        with safe_open(path, framework="pt") as file:
            assert set(file.keys()) == set(model.backbone.state_dict())
    backbone = VisionTransformer(SMALL, img_size=(64, 48), with_cls_token=False, out_type="featmap")
    report = load_weights(backbone, path)
    assert report.unexpected == ("cls_token",) and len(report.resized) == 1
    assert torch.equal(backbone.layers[1].ffn.layers[1].weight,
                       model.backbone.layers[1].ffn.layers[1].weight)  # fmt: skip


def test_torchscript_becomes_a_checkpoint(tmp_path):
    model = VisionTransformer(SMALL, img_size=64, out_type="featmap")
    source = save_torchscript(model, tmp_path / "a_torchscript.pt2", torch.zeros(1, 3, 64, 64))
    for name in ("a.safetensors", "a.pth"):
        convert_checkpoint(source, tmp_path / name, backbone_only=True)
        loaded = VisionTransformer(SMALL, img_size=64, out_type="featmap")
        load_weights(loaded, tmp_path / name)
        assert_same(loaded.state_dict(), model.state_dict())
        text = "looks like a pretrained backbone, embed_dims 32, 2 layers, 64x64"
        assert text in describe_checkpoint(tmp_path / name)


@pytest.mark.parametrize("suffixes", [[".pth"], [".safetensors"], [".pth", ".safetensors", ".pth"]])
@pytest.mark.parametrize("backbone_only", [True, False])
def test_the_patch_padding_is_known_to_what_loads_the_file(
    source, suffixes, backbone_only, tmp_path
):
    path = source
    for index, suffix in enumerate(suffixes):
        target = tmp_path / f"{index}{suffix}"
        convert_checkpoint(path, target, backbone_only=backbone_only)
        path = target
    padded = VisionTransformer(
        SMALL, img_size=64, patch_cfg={"padding": 2}, with_cls_token=False, out_type="featmap"
    )
    with pytest.raises(WeightsError, match="patch padding 0, but the model's is 2"):
        load_weights(padded, path)
    assert "patch_padding: 0" in describe_checkpoint(path)
    load_weights(padded, path, allow_patch_padding_change=True)


@pytest.mark.parametrize(
    ("suffix", "dropped"),
    [
        (".pth", ("meta", "optimizer", "message_hub")),
        (".safetensors", ("optimizer", "message_hub")),
    ],
)
def test_what_a_backbones_file_lacks_is_said(source, suffix, dropped, tmp_path):
    target = tmp_path / f"backbone{suffix}"
    assert convert_checkpoint(source, target, backbone_only=True) == dropped
    assert ("epoch: 3" in describe_checkpoint(target)) == ("meta" not in dropped)


def test_data_parallel_names_and_views_are_cleaned(model, tmp_path):
    whole = torch.randn(1000, 32)
    state = {f"module.{key}": value for key, value in model.state_dict().items()}
    state["module.neck.mask_token"] = whole[:1][None]
    torch.save({"state_dict": state}, tmp_path / "ddp.pth")
    convert_checkpoint(tmp_path / "ddp.pth", tmp_path / "clean.pth")
    tensors = read_checkpoint(tmp_path / "clean.pth")["state_dict"]
    assert tensors.keys() == model.state_dict().keys()
    assert tensors["neck.mask_token"].untyped_storage().nbytes() == 32 * 4


def test_tied_weights_are_written_twice(model, tmp_path):
    state = model.state_dict()
    torch.save({**state, "tied": state["neck.mask_token"]}, tmp_path / "tied.pth")
    convert_checkpoint(tmp_path / "tied.pth", tmp_path / "tied.safetensors")
    tensors = read_checkpoint(tmp_path / "tied.safetensors")["state_dict"]
    assert torch.equal(tensors["tied"], state["neck.mask_token"])
    assert torch.equal(tensors["neck.mask_token"], state["neck.mask_token"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": [1], "meta": {}}, "its 'state_dict' is a list"),
        ({"a": torch.zeros(1), "meta": 3}, "its 'meta' is a int"),
        ({"a": torch.zeros(1), "meta": {"b": {(1, 2): 3}}}, r"meta\['b'\] cannot be JSON"),
        ({"a": torch.zeros(1).expand(2**50)}, "a: the file has fewer numbers than the shape"),
        ({"a": torch.zeros(1, dtype=torch.complex128)}, "that .safetensors cannot hold"),
    ],
)
def test_what_cannot_be_converted_is_said(content, message, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=message):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "a.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]


def test_nothing_is_overwritten_unasked(source, tmp_path):
    target = tmp_path / "clean.pth"
    convert_checkpoint(source, target, backbone_only=True)
    before = source.read_bytes()
    with pytest.raises(WeightsError, match=r"clean.pth exists.*--overwrite"):
        convert_checkpoint(source, target)
    convert_checkpoint(source, target, overwrite=True)
    assert "state_dict" in read_checkpoint(target)
    (tmp_path / "link.pth").symlink_to(source)
    for same in (source, tmp_path / "link.pth"):
        with pytest.raises(WeightsError, match="is the checkpoint to convert"):
            convert_checkpoint(source, same, overwrite=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        ({"head.weight": torch.zeros(1)}, "x.pth", r'has no backbone.*begin with "head."'),
        ({"state_dict": {}, "meta": {}}, "x.pth", "holds no tensors"),
        ({"head.weight": torch.zeros(1)}, "x.onnx", r"one of .pth, .pt, .safetensors"),
    ],
)
def test_errors(content, target, message, tmp_path):
    torch.save(content, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=message):
        convert_checkpoint(tmp_path / "bad.pth", tmp_path / target, backbone_only=True)
    assert not (tmp_path / target).exists()


def test_a_full_disk(source, tmp_path):
    Path(tmp_path, "new.pth.tmp").symlink_to("/dev/full")  # which refuses every byte
    with pytest.raises(OutputError, match=r"new\.pth could not be written"):
        convert_checkpoint(source, tmp_path / "new.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_3.pth"]


def test_meta_that_json_cannot_hold_is_an_error(model, tmp_path):
    torch.save({"state_dict": model.state_dict(), "meta": {"odd": {1, 2}}}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"meta\['odd'\] holds a set.*Convert to .pth"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "a.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]


def test_the_description_tells_prefixes_counts_dtypes_and_meta(source, model, tmp_path):
    state = {**model.state_dict(), "neck.mask_token": model.neck.mask_token.bfloat16()}
    torch.save({"state_dict": state, "meta": {"cfg": "a\n" * 100}, "optimizer": {}}, source)
    lines = [line.split() for line in describe_checkpoint(source).splitlines()]
    parameters = sum(p.numel() for p in model.backbone.parameters())
    count = str(len(model.backbone.state_dict()))
    assert ["backbone", count, f"{parameters:,}", "float32"] in lines
    assert next(line for line in lines if line[0] == "neck")[-2:] == ["bfloat16,", "float32"]
    text = describe_checkpoint(source)
    assert "besides weights and meta: optimizer" in text and "(199 characters)" in text


class Harmless:
    """Pickled as a call."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("target", [[], ["b.safetensors"]])
def test_code_of_ones_own_runs_with_trust_only(model, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "made"
    torch.save({"state_dict": model.state_dict(), "x": Harmless(made)}, "a.pth")
    words = ["convert", "a.pth", *target]
    with pytest.raises(WeightsError, match="--trust"):
        dispatch(words)
    assert not made.exists()
    assert dispatch([*words, "--trust"]) is None and made.is_dir()
    assert sorted(path.name for path in tmp_path.glob("b.*")) == target


def test_the_command_hands_on_what_is_to_be_written(source, model, tmp_path, capsys):
    target = tmp_path / "a.pth"
    dispatch(["convert", str(source), str(target)])
    assert f"written to {target}, without: optimizer, message_hub" in capsys.readouterr().out
    with pytest.raises(WeightsError, match="exists"):
        dispatch(["convert", str(source), str(target), "--backbone"])
    dispatch(["convert", str(source), str(target), "--backbone", "--overwrite"])
    assert_same(torch.load(target), model.backbone.state_dict())
    for option in ("--backbone", "--overwrite"):
        with pytest.raises(ConfigError, match="need a TARGET"):
            dispatch(["convert", str(source), option])


@pytest.mark.parametrize(("num", "end"), [(80, ""), (81, "... (81 characters)")])
def test_of_a_long_value_the_first_eighty_characters_are_described(model, num, end, tmp_path):
    torch.save({"state_dict": model.state_dict(), "meta": {"note": "x" * num}}, tmp_path / "a.pth")
    assert f"  note: {'x' * 80}{end}" in describe_checkpoint(tmp_path / "a.pth").splitlines()
