from __future__ import annotations

import io
import json
import logging
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.model import initialize
from safetensors.torch import save_file
from torch import nn

from engine.checkpoint import apply_weights, load_weights, model_meta, read_checkpoint
from engine.checkpoint.diagnose import check_backbone
from engine.checkpoint.match import LoadReport, beginnings, check_complete, listing
from engine.checkpoint.pos_embed import tell_grid
from engine.errors import WeightsError
from pretrain import VisionTransformer

GOLDEN = Path(__file__).parents[2] / "golden"
SMALL = {"embed_dims": 32, "num_layers": 2, "num_heads": 4, "feedforward_channels": 128}


def backbone(arch: dict | str = SMALL, **kwargs) -> VisionTransformer:
    defaults = {"img_size": (64, 48), "with_cls_token": False, "out_type": "featmap"}
    return VisionTransformer(arch, **(defaults | kwargs))


class Segmentor(nn.Module):
    def __init__(self, num_classes: int = 5, **kwargs) -> None:
        super().__init__()
        self.backbone = backbone(**kwargs)
        self.decode_head = nn.ModuleDict(
            {"conv": nn.Conv2d(32, 8, 1), "conv_seg": nn.Conv2d(8, num_classes, 1)}
        )


def mae_state(img_size: int = 128) -> dict[str, torch.Tensor]:
    """The tensors of a pretrained backbone: square, with class token."""
    return dict(backbone(img_size=img_size, with_cls_token=True).state_dict())


def prefixed(state: dict, prefix: str) -> dict:
    return {prefix + key: value for key, value in state.items()}


def full_mae(state: dict) -> dict:
    neck = {"neck.mask_token": torch.zeros(1, 1, 8), "neck.ln1.weight": torch.zeros(8)}
    return prefixed(state, "backbone.") | neck


def changed(model: nn.Module, before: dict) -> set[str]:
    return {key for key, value in model.state_dict().items() if not value.equal(before[key])}


# ---- reading


def training_checkpoint() -> dict:
    """What MMEngine saves besides tensors."""
    history = HistoryBuffer([1.0, 2.5], [1, 1])
    return {
        "meta": {"epoch": 3, "patch_padding": 2, "seed": np.int64(7)},
        "state_dict": OrderedDict(weight=torch.arange(3.0)),
        "message_hub": {"log_scalars": {"loss": history}, "lr": np.float32(0.5)},
        "arrays": [np.eye(2), np.array([True]), np.array(["a", "bc"])],
    }


def test_training_logs_are_read_without_trust(tmp_path):
    path = tmp_path / "epoch_3.pth"
    torch.save(training_checkpoint(), path)
    read = read_checkpoint(path)
    assert read["message_hub"]["log_scalars"]["loss"].mean() == 1.75
    assert read["message_hub"]["lr"] == np.float32(0.5)
    assert read["meta"] == {"epoch": 3, "patch_padding": 2, "seed": 7}
    assert read["arrays"][2].tolist() == ["a", "bc"]
    assert torch.equal(read["state_dict"]["weight"], torch.arange(3.0))
    with pytest.raises(Exception, match="Unsupported global"):  # the allow-list has gone
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_files_of_numpy_1_and_2_and_of_the_legacy_format(tmp_path, module):
    path = tmp_path / "epoch_3.pth"
    torch.save(training_checkpoint(), path, _use_new_zipfile_serialization=False)
    pickled = path.read_bytes()
    for name in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        pickled = pickled.replace(b"c" + name + b"\n", b"c" + module + b"\n")
    assert b"c" + module + b"\n" in pickled
    path.write_bytes(pickled)
    assert read_checkpoint(path)["message_hub"]["log_scalars"]["loss"].max() == 2.5


class Malicious:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


class MethodOf:
    """Pickled as ``getattr(owner, name)``, as methods are."""

    def __init__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __reduce__(self):
        return getattr, (self.owner, self.name)


@pytest.mark.parametrize(("owner", "name"), [(np.ndarray, "tofile"), (HistoryBuffer, "__init__")])
def test_only_methods_of_history_buffers_are_looked_up(tmp_path, owner, name):
    torch.save({"x": MethodOf(owner, name)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="contains getattr"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_by_name_and_run_only_with_trust(tmp_path, zipped):
    path, folder = tmp_path / "bad.pth", tmp_path / "made_by_the_pickle"
    content = {"state_dict": {}, "x": Malicious(folder)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"bad\.pth contains \w+\.mkdir.*mmsapiens convert --trust"
    ):
        read_checkpoint(path)
    assert not folder.exists()
    read_checkpoint(path, trust=True)
    assert folder.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.pth", None, "is not a file.*SAPIENS_CHECKPOINT_ROOT"),
        ("empty.pth", b"", "is empty"),
        (f"{'long' * 99}.pth", None, "cannot be read"),
        ("page.pth", b"\n<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        ("page.safetensors", b"<html>Sign in</html>", "is a web page"),
        ("lfs.pth", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("noise.pth", b"no weights at all", "not a torch checkpoint, or was cut short"),
        ("noise.safetensors", b"no weights at all", "not a safetensors file, or was cut short"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_checkpoint(tmp_path / name)
    assert name in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["pth", "legacy.pth", "safetensors"])
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_truncated_files(tmp_path, suffix, share):
    path = tmp_path / f"cut.{suffix}"
    if suffix == "safetensors":
        save_file(mae_state(), path)
    else:
        torch.save(mae_state(), path, _use_new_zipfile_serialization=suffix == "pth")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="was cut short"):
        read_checkpoint(path)


def test_what_is_no_dict_of_tensors(tmp_path):
    path = tmp_path / "x.pth"
    torch.save([torch.zeros(1)], path)
    with pytest.raises(WeightsError, match=r"holds a list\. Expected a dict"):
        read_checkpoint(path)
    torch.save({"epoch": 3, "model": {"weight": torch.zeros(1)}}, path)
    with pytest.raises(WeightsError, match=r"holds no tensors.*found 'epoch', 'model'"):
        load_weights(backbone(), path)


def test_safetensors_keeps_its_metadata(tmp_path):
    path = tmp_path / "x.safetensors"
    model = backbone(patch_cfg={"padding": 2})
    meta = {key: json.dumps(value) for key, value in model_meta(model).items()}
    save_file(dict(model.state_dict()), path, metadata=meta | {"format": "pt"})
    read = read_checkpoint(path)
    assert read["meta"] == {
        "patch_padding": 2,
        "patch_size": 16,
        "grid_hw": [4, 3],
        "arch": SMALL,
        "format": "pt",
    }
    other = backbone(patch_cfg={"padding": 2})
    load_weights(other, path)
    assert not changed(other, model.state_dict())


# ---- matching


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("layout", ["flat", "backbone", "full_mae"])
@pytest.mark.parametrize("target", ["backbone", "segmentor"])
def test_every_layout_fits_a_backbone_and_a_whole_model(tmp_path, wrapper, nested, layout, target):
    state = mae_state(img_size=64)
    names = {"flat": state, "backbone": prefixed(state, "backbone."), "full_mae": full_mae(state)}
    content = prefixed(names[layout], wrapper)
    path = tmp_path / "x.pth"
    torch.save({"state_dict": content, "meta": {}} if nested else content, path)

    model = backbone() if target == "backbone" else Segmentor()
    report = load_weights(model, path, allow_missing="decode_head")
    loaded = model if target == "backbone" else model.backbone
    for key, value in loaded.state_dict().items():
        assert key == "pos_embed" or value.equal(state[key])
    assert len(report.matched) == 5 + 12 * 2
    assert not report.mismatched
    assert any(key.endswith("cls_token") for key in report.unexpected)
    assert len(report.missing) == (0 if target == "backbone" else 4)
    assert [item.source_hw for item in report.resized] == [(4, 4)]


def test_a_wrapped_model_is_loaded_like_the_model():
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = Segmentor()

    source, wrapped = Segmentor(), Wrapper()
    apply_weights(wrapped, source.state_dict())
    assert not changed(wrapped.module, source.state_dict())
    assert model_meta(wrapped) == model_meta(source) == model_meta(source.backbone)
    assert model_meta(nn.Linear(1, 1)) == {}


def test_explicit_prefix():
    state = mae_state()
    content = prefixed(state, "student.encoder.") | prefixed(state, "teacher.")
    with pytest.raises(WeightsError, match=r"below another name: pass prefix='student.encoder.'"):
        apply_weights(backbone(), content)
    with pytest.raises(WeightsError, match=r"below prefix='pupil\.'.*\"student\.\", \"teacher\.\""):
        apply_weights(backbone(), content, prefix="pupil")
    report = apply_weights(Segmentor(), content, prefix="teacher", allow_missing="decode_head")
    assert len(report.matched) == 29


def test_missing_tensors_must_be_allowed():
    model = Segmentor()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = mae_state()
    with pytest.raises(WeightsError, match="missing in the file: decode_head") as caught:
        apply_weights(model, state, source="mae.pth")
    assert "allow_missing=('decode_head',)" in str(caught.value)
    assert not changed(model, before)  # nothing is loaded by halves
    apply_weights(model, state, allow_missing=["decode_head.conv", "decode_head.conv_seg"])
    assert not any(key.startswith("decode_head") for key in changed(model, before))


def test_allow_missing_is_of_whole_names():
    with pytest.raises(WeightsError, match=r"allow_missing=\('decode_head',\)"):
        apply_weights(Segmentor(), mae_state(), allow_missing="decode")
    with pytest.raises(WeightsError, match=r"missing in the file: decode_head\.conv_seg"):
        apply_weights(Segmentor(), mae_state(), allow_missing="decode_head.conv")


def test_a_head_of_another_class_count_is_listed_with_both_shapes():
    file, model = Segmentor(num_classes=28), Segmentor(num_classes=19)
    with pytest.raises(WeightsError) as caught:
        apply_weights(model, file.state_dict(), source="parts.pth")
    assert (
        "decode_head.conv_seg.weight (28, 8, 1, 1) in the file, (19, 8, 1, 1) in the model"
        in str(caught.value)
    )
    assert "allow_missing=('decode_head.conv_seg',)" in str(caught.value)
    report = apply_weights(model, file.state_dict(), allow_missing="decode_head.conv_seg")
    assert [item.key for item in report.mismatched] == [
        "decode_head.conv_seg.weight",
        "decode_head.conv_seg.bias",
    ]
    assert torch.equal(model.decode_head["conv"].weight, file.decode_head["conv"].weight)


def test_one_missing_tensor_of_the_backbone_is_an_error_too():
    state = mae_state()
    del state["layers.1.ffn.layers.1.bias"]
    with pytest.raises(WeightsError, match=r"missing in the file: layers\.1\.ffn\.layers\.1\.bias"):
        apply_weights(backbone(), state)
    report = apply_weights(backbone(), state, allow_missing="layers.1.ffn.layers.1.bias")
    assert report.missing == ("layers.1.ffn.layers.1.bias",)


def test_more_layers_in_the_file_than_in_the_model_is_an_error():
    state = backbone(SMALL | {"num_layers": 3}).state_dict()
    with pytest.raises(WeightsError, match=r"unknown to the model: layers\.2\."):
        apply_weights(backbone(), state)
    report = apply_weights(backbone(), state, allow_missing="layers.2")
    assert report.unexpected and all(key.startswith("layers.2.") for key in report.unexpected)


def test_heads_of_other_tasks_are_reported_only():
    report = apply_weights(backbone(), Segmentor().state_dict())
    assert len(report.unexpected) == 4
    assert all(key.startswith("decode_head.") for key in report.unexpected)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            lambda: full_mae(backbone("tiny", with_cls_token=True, img_size=64).state_dict()),
            r'0 of 29 .* begin with "backbone\.", "neck\."; this looks like a full MAE checkpoint '
            r"with embed_dims 192 and 6 layers \(sapiens_tiny\), but the model has embed_dims 32",
        ),
        (
            lambda: {"blocks.0.attn.qkv.weight": torch.zeros(1), "cls_token": torch.zeros(1)},
            r'"blocks\.", "cls_token"; this looks like a ViT of timm, DINO or facebook/mae',
        ),
        (lambda: {"conv.weight": torch.zeros(1)}, "0 of 29 .* not look like a Sapiens backbone"),
        (
            lambda: backbone(SMALL | {"feedforward_channels": 64}).state_dict(),
            r"23 of 29 .* compare layers\.0\.ffn\.layers\.0\.0\.weight \(64, 32\) in the file",
        ),
    ],
    ids=["another_arch", "timm", "unrelated", "another_ffn"],
)
@pytest.mark.parametrize("target", [backbone, Segmentor])
def test_a_backbone_that_does_not_match_is_an_error_that_says_what_the_file_is(
    state, message, target
):
    message = message if target is backbone else message.replace("layers", r"(backbone\.)?layers")
    with pytest.raises(WeightsError, match=message):
        apply_weights(target(), state(), source="x.pth", allow_missing="decode_head")


def test_report_fits_a_log():
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    MMLogger.get_current_instance().addHandler(handler)
    text = str(apply_weights(Segmentor(), mae_state(), source="m.pth", allow_missing="decode_head"))
    assert text.splitlines()[0] == "Loaded 29 of the model's 33 tensors from m.pth"
    assert "backbone.pos_embed 8x8 -> 4x3" in text
    assert "not used: backbone.cls_token" in text
    assert len(text) < 1000
    MMLogger.get_current_instance().removeHandler(handler)
    assert "m.pth does not say its patch padding; the model's is 0" in log.getvalue()
    assert text in log.getvalue()


# ---- what the tensors hold


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v.int(), "another kind of numbers.*: ln1.weight int32 in the file, float32 in"),
        (lambda v: v.to(torch.complex64), "ln1.weight complex64 in the file"),
        (lambda v: v.bool(), "ln1.weight bool in the file"),
        (lambda v: v.to(torch.float8_e4m3fn), "ln1.weight float8_e4m3fn in the file"),
        (lambda v: v * float("nan"), r"infinite or not a number \(NaN\): ln1.weight"),
        (lambda v: torch.where(v.cumsum(0) > 30, float("inf"), v), "infinite or not.*: ln1.weight"),
        (lambda v: v.double() * 1e300, "infinite or not a number.*: ln1.weight"),
        (lambda v: v[:1].clone().expand(32), "ln1.weight: the file has fewer numbers than the sh"),
    ],
    ids=["int", "complex", "bool", "float8", "nan", "inf", "overflow", "expanded"],
)
def test_weights_are_finite_numbers_of_the_models_kind(tmp_path, spoil, message):
    state = mae_state()
    torch.save(state | {"ln1.weight": spoil(state["ln1.weight"])}, tmp_path / "x.pth")
    model = backbone(init_cfg={"type": "Pretrained", "checkpoint": str(tmp_path / "x.pth")})
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for load in (lambda: load_weights(model, tmp_path / "x.pth"),
                 lambda: initialize(model, model.init_cfg)):  # fmt: skip
        with pytest.raises(WeightsError, match=rf"x\.pth.*{message}"):
            load()
    assert not changed(model, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_cast(dtype):
    state, model = mae_state(), backbone()
    apply_weights(model, {key: value.to(dtype) for key, value in state.items()})
    expected = state["layers.0.attn.qkv.weight"].to(dtype).float()
    assert torch.equal(model.layers[0].attn.qkv.weight, expected)


def test_large_weights_are_not_taken_for_infinite_ones():
    state = backbone().state_dict()
    state["ln1.weight"] = torch.full((32,), 3e38)  # their sum is infinite
    model = backbone()
    apply_weights(model, state)
    assert torch.equal(model.ln1.weight, state["ln1.weight"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda state: {"state_dict": None}, "its 'state_dict' is a NoneType. Expected tensors by"),
        (lambda state: {"state_dict": [*state.values()]}, "its 'state_dict' is a list"),
        (lambda state: {7: state["ln1.bias"]} | state, r"a tensor stands under 7 \(int\)"),
        (lambda state: {"ln1.bias": None} | prefixed(state, "x."), "0 of 29 tensors"),
        (lambda state: {"module.ln1.bias": state["ln1.bias"]} | state, "holds ln1.bias twice"),
        (lambda state: state | {"pos_embed": torch.tensor(1.0)}, r"pos_embed \(\) in the file"),
        (lambda state: state | {"pos_embed": torch.ones(2, 65, 32)}, r"pos_embed \(2, 65, 32\) in"),
        (lambda state: {"patch_embed.projection.weight": torch.tensor(1.0)}, "embed_dims 0 and 0"),
        (lambda state: {"state_dict": state, "meta": ["a"]}, "its 'meta' is a list"),
        *(
            (lambda state, grid=grid: {"state_dict": state, "meta": {"grid_hw": grid}}, "'grid_hw'")
            for grid in (8, "ab", (8,), (8.0, 8), (0, 3), (True, 64), torch.ones(2), [[8, 8]])
        ),
        (
            lambda state: {"state_dict": state, "meta": {"patch_padding": "2"}},
            "patch_padding",
        ),
    ],
)
def test_checkpoints_of_another_structure_are_refused(make, message):
    with pytest.raises(WeightsError, match=rf"(?s)^x\.pth.*{message}"):
        apply_weights(backbone(), make(mae_state()), source="x.pth")


# ---- position embedding


def test_resized_positions_equal_the_recorded_ones():
    z = np.load(GOLDEN / "pos_embed_load.npz")
    meta = json.loads(str(z["meta"]))
    state = {k.removeprefix("state/"): torch.from_numpy(z[k]) for k in z.files if "state/" in k}
    model = backbone(meta["arch"], img_size=meta["img_size"])
    report = apply_weights(model, state)
    expected = torch.from_numpy(z["out/pos_embed"])
    torch.testing.assert_close(model.pos_embed.detach(), expected, rtol=0, atol=1e-6)
    assert report.resized == (("pos_embed", (8, 8), (4, 3)),)


@pytest.mark.parametrize(
    ("count", "target_hw", "has_cls_token", "expected"),
    [
        (4097, (64, 48), True, ((64, 64), 1)),  # the released MAE weights
        (4097, (64, 48), False, ((64, 64), 1)),
        (4096, (64, 48), False, ((64, 64), 0)),
        (3072, (64, 48), False, ((64, 48), 0)),
        (3073, (64, 48), False, ((64, 48), 1)),
        (3072, (32, 32), False, ((64, 48), 0)),  # a finetuned model at another resolution
        (35, (7, 5), False, ((7, 5), 0)),  # odd, but no class token
        (36, (12, 3), False, ((12, 3), 0)),  # the model's grid before a square
        (37, (12, 3), True, ((6, 6), 1)),  # pretraining is square
        (24, (12, 4), False, None),
        (48, (12, 4), True, None),
        (192, (6, 2), False, None),  # 24x8 or 16x12
        (1, (4, 3), True, None),
    ],
)
def test_tell_grid(count, target_hw, has_cls_token, expected):
    if expected is not None:
        assert tell_grid(count, target_hw, has_cls_token) == expected
        return
    with pytest.raises(WeightsError, match=f"has {count} positions.*meta.*grid_hw"):
        tell_grid(count, target_hw, has_cls_token)


def test_grid_in_meta_settles_what_the_count_does_not():
    source = backbone(img_size=(96, 32))  # 6x2 = 12 tokens, as many as 4x3
    model = backbone()
    content = {"state_dict": source.state_dict(), "meta": model_meta(source)}
    report = apply_weights(model, content)
    assert [tuple(item) for item in report.resized] == [("pos_embed", (6, 2), (4, 3))]
    expected = source.resize_pos_embed(source.pos_embed, (6, 2), (4, 3))
    torch.testing.assert_close(model.pos_embed, expected, rtol=0, atol=0)

    content["meta"] = {"grid_hw": (5, 5)}
    with pytest.raises(WeightsError, match=r"x\.pth: pos_embed has 12 positions, but its meta"):
        apply_weights(model, content, source="x.pth")


def test_class_token_keeps_its_slot_and_cannot_be_invented():
    state = mae_state()
    model = backbone(img_size=64, with_cls_token=True)
    apply_weights(model, state)
    assert torch.equal(model.pos_embed[:, 0], state["pos_embed"][:, 0])
    assert torch.equal(model.cls_token, state["cls_token"])
    with pytest.raises(WeightsError, match=r"none for a class token.*with_cls_token=False"):
        apply_weights(model, backbone(img_size=64).state_dict(), allow_missing="cls_token")


# ---- patch padding and init_cfg


def test_patch_padding_is_checked():
    source, model = backbone(patch_cfg={"padding": 2}), Segmentor()
    content = {"state_dict": source.state_dict(), "meta": model_meta(source)}
    with pytest.raises(WeightsError, match=r"padding 2, but the model's is 0.*padding=2"):
        apply_weights(model, content, allow_missing="decode_head")
    apply_weights(model, content, allow_missing="decode_head", allow_patch_padding_change=True)
    assert torch.equal(model.backbone.ln1.weight, source.ln1.weight)


def test_pretrained_init_cfg_goes_through_the_same_checks(tmp_path):
    path = tmp_path / "mae.pth"
    state = mae_state()
    torch.save(full_mae(state), path)
    model = backbone(init_cfg={"type": "Pretrained", "checkpoint": str(path)})
    initialize(model, model.init_cfg)
    assert torch.equal(model.layers[1].attn.qkv.weight, state["layers.1.attn.qkv.weight"])

    torch.save({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="matches 0 of 29 tensors"):
        initialize(model, model.init_cfg)


@pytest.mark.parametrize(("num", "fits"), [(9, True), (8, False)])
def test_nine_tenths_of_a_backbone_are_enough_to_be_one(num, fits):
    """What is missing is then listed, and allowed or not."""
    model = nn.Module()
    model.backbone = nn.ParameterDict({f"p{i}": nn.Parameter(torch.zeros(2)) for i in range(10)})
    names = list(model.state_dict())
    report = LoadReport("a.pth", tuple(names[:num]), tuple(names[num:]), (), (), ())
    tensors = {name: torch.zeros(2) for name in names[:num]}
    if fits:
        check_backbone(model, tensors, report)
    else:
        with pytest.raises(WeightsError, match=r"a\.pth matches 8 of 10 tensors of the backbone"):
            check_backbone(model, tensors, report)


@pytest.mark.parametrize(
    ("allowed", "fits"),
    [("decode_head", True), ("decode_head.conv_seg", True), ("decode_head.", True),
     ("decode", False), ("decode_head.conv_seg.weight", True), ("decode_head.conv_se", False)],
)  # fmt: skip
def test_what_may_be_missing_is_named_by_whole_parts(allowed, fits):
    missing = ("decode_head.conv_seg.weight",)
    report = LoadReport("a.pth", ("backbone.a",), missing, (), (), ())
    if fits:
        check_complete(report, [allowed])
    else:
        with pytest.raises(WeightsError, match=r"missing in the file: decode_head.conv_seg.weight"):
            check_complete(report, [allowed])


@pytest.mark.parametrize(
    ("num", "text"), [(6, "0, 1, 2, 3, 4, 5"), (7, "0, 1, 2, 3, 4, 5, ... (7 in all)")]
)
def test_six_of_many_names_are_listed(num, text):
    assert listing(range(num)) == text
    assert listing(range(3), limit=2) == "0, 1, ... (3 in all)"
    assert beginnings(["a.x.y", "b", "a.z"]) == '"a.", "b"'
    assert beginnings("abcde") == '"a", "b", "c", "d", "e"'
    assert beginnings("abcdef") == '"a", "b", "c", "d", "e", ... (6 in all)'


def test_tensors_that_only_the_file_has_are_a_problem_within_parts_of_the_model():
    def check(*unexpected):
        matched = ("backbone.layers.0.w", "decode_head.w")
        check_complete(LoadReport("a.pth", matched, (), unexpected, (), ()), [])

    check("head.w", "neck.mask_token", "backbone.extra.w")
    for surplus in ("backbone.layers.1.w", "decode_head.b"):
        with pytest.raises(WeightsError, match=f"unknown to the model: {surplus}"):
            check("head.w", surplus)


def test_a_backbone_does_not_fit_a_model_without_one(tmp_path):
    torch.save(backbone().state_dict(), tmp_path / "vit.pth")
    with pytest.raises(WeightsError, match=r"matches 0 of 2 tensors .* this looks like") as error:
        load_weights(torch.nn.Linear(2, 2), tmp_path / "vit.pth")
    assert "but the model has None" not in str(error.value)
    assert "compare missing" in str(error.value) or "but not as the model has it" in str(
        error.value
    )
