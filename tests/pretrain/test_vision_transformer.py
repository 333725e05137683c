from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pretrain import VisionTransformer
from pretrain.position import sincos_positions
from pretrain.registry import MODELS
from pretrain.vision_transformer import ARCHS

GOLDEN = Path(__file__).parents[1] / "golden"
WIDTH_AND_DEPTH = {"0.3b": (1024, 24), "0.6b": (1280, 32), "1b": (1536, 40), "2b": (1920, 48)}
SMALL = {"embed_dims": 32, "num_layers": 4, "num_heads": 2, "feedforward_channels": 64}


def small(**kwargs) -> VisionTransformer:
    defaults = {"img_size": (64, 48), "with_cls_token": False, "out_type": "featmap"}
    return VisionTransformer(SMALL, **(defaults | kwargs))


@pytest.mark.parametrize("case", ["vit_pad0", "vit_pad2"])
@pytest.mark.parametrize("size", ["", "_other_size"])
def test_features_equal_the_recorded_ones(case, size):
    z = np.load(GOLDEN / f"{case}.npz")
    meta = json.loads(str(z["meta"]))
    model = VisionTransformer(
        meta["arch"],
        img_size=meta["img_size"],
        with_cls_token=False,
        out_type="featmap",
        patch_cfg={"padding": meta["padding"]},
    )
    state = {k.removeprefix("state/"): torch.from_numpy(z[k]) for k in z.files if "state/" in k}
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        (featmap,) = model(torch.from_numpy(z[f"in/x{size}"]))
    torch.testing.assert_close(
        featmap, torch.from_numpy(z[f"out/featmap{size}"]), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize(
    ("arch", "task_count", "saved_count"),
    [
        ("0.3b", 306_244_608, 307_295_232),
        ("0.6b", 634_597_120, 635_910_400),
        ("1b", 1_139_163_648, 1_140_739_584),
        ("2b", 2_131_943_040, 2_133_912_960),
    ],
)
def test_parameter_counts_are_the_published_ones(arch, task_count, saved_count):
    def count(model: nn.Module) -> int:
        return sum(p.numel() for p in model.parameters())

    with torch.device("meta"):
        assert count(VisionTransformer(arch, with_cls_token=False, out_type="raw")) == task_count
        assert count(VisionTransformer(arch, img_size=1024)) == saved_count


@pytest.mark.parametrize("arch", ["Sapiens_0.3B", "0.6b", "1b", "2b"])
def test_state_dict_is_the_released_one(arch):
    with torch.device("meta"):
        model = VisionTransformer(arch, img_size=1024)
    d, num_layers = WIDTH_AND_DEPTH[arch.lower().removeprefix("sapiens_")]
    expected = {
        "cls_token": (1, 1, d),
        "pos_embed": (1, 4097, d),
        "patch_embed.projection.weight": (d, 3, 16, 16),
        "patch_embed.projection.bias": (d,),
        "ln1.weight": (d,),
        "ln1.bias": (d,),
    }
    for i in range(num_layers):
        layer = {"ln1.weight": (d,), "ln1.bias": (d,), "ln2.weight": (d,), "ln2.bias": (d,)}
        layer |= {"attn.qkv.weight": (3 * d, d), "attn.qkv.bias": (3 * d,)}
        layer |= {"attn.proj.weight": (d, d), "attn.proj.bias": (d,)}
        layer |= {"ffn.layers.0.0.weight": (4 * d, d), "ffn.layers.0.0.bias": (4 * d,)}
        layer |= {"ffn.layers.1.weight": (d, 4 * d), "ffn.layers.1.bias": (d,)}
        expected |= {f"layers.{i}.{key}": shape for key, shape in layer.items()}
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == expected


@pytest.mark.parametrize("arch", ARCHS)
def test_head_dims_are_whole(arch):
    assert ARCHS[arch]["embed_dims"] % ARCHS[arch]["num_heads"] == 0
    assert ARCHS[arch]["feedforward_channels"] == 4 * ARCHS[arch]["embed_dims"]


@pytest.mark.parametrize(
    ("out_type", "shape"),
    [
        ("raw", (2, 13, 32)),
        ("cls_token", (2, 32)),
        ("featmap", (2, 32, 4, 3)),
        ("avg_featmap", (2, 32)),
    ],
)
def test_out_types(out_type, shape):
    (out,) = small(with_cls_token=True, out_type=out_type)(torch.randn(2, 3, 64, 48))
    assert out.shape == shape


def test_the_average_of_the_patches_leaves_the_class_token_out():
    x = torch.randn(2, 3, 64, 48)
    model = small(with_cls_token=True, out_type="avg_featmap")
    nn.init.normal_(model.ln2.weight)
    (averaged,) = model(x)
    model.out_type = "raw"
    patches = model(x)[0][:, 1:]
    torch.testing.assert_close(averaged, model.ln2(patches.sum(dim=1) / 12))


def test_featmap_is_the_raw_patch_tokens_row_by_row():
    x = torch.randn(1, 3, 64, 48)
    model = small(with_cls_token=True)
    (featmap,) = model(x)
    model.out_type = "raw"
    (raw,) = model(x)
    torch.testing.assert_close(featmap[0, :, 2, 1], raw[0, 1 + 2 * 3 + 1])


def test_class_token_keeps_its_position_at_other_sizes():
    model = small(with_cls_token=True)
    resized = model.resize_pos_embed(model.pos_embed, (4, 3), (6, 5))
    assert resized.shape == (1, 31, 32)
    torch.testing.assert_close(resized[:, 0], model.pos_embed[:, 0], rtol=0, atol=0)


def test_out_indices_count_from_both_ends_and_are_not_mutated():
    indices = [-1, 0, -3]
    model = small(out_indices=indices, final_norm=True)
    outputs = model(torch.randn(1, 3, 64, 48))
    assert indices == [-1, 0, -3]
    assert model.out_indices == (0, 1, 3)
    assert len(outputs) == 3
    # Only the last layer's output is normalised: zero mean over channels.
    assert outputs[2].mean(dim=1).abs().max() < 1e-5
    assert outputs[0].mean(dim=1).abs().max() > 1e-3


@pytest.mark.parametrize("index", [4, -5, (0, 4)])
def test_out_indices_out_of_range(index):
    with pytest.raises(ValueError, match="not a layer of 4"):
        small(out_indices=index)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"arch": "3b"}, "'3b' is none of tiny, 0.3b"),
        ({"arch": {"embed_dims": 32}}, "exactly embed_dims, num_layers"),
        ({"arch": SMALL | {"num_heads": 5}}, "32 is not a multiple of num_heads 5"),
        ({"arch": SMALL, "out_type": "map"}, "'map' is none of"),
        ({"arch": SMALL, "pos_embed_init": "zeros"}, "'zeros' is none of trunc_normal, sincos"),
        ({"arch": SMALL, "with_cls_token": False}, "needs with_cls_token"),
        ({"arch": SMALL, "patch_cfg": {"pading": 2}}, "only 'padding'"),
        ({"arch": SMALL, "patch_cfg": {"padding": "same"}}, "'corner' or an int"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        VisionTransformer(**kwargs)


@pytest.mark.parametrize(
    ("padding", "size_hw", "grid_hw"),
    [
        ("corner", (64, 48), (4, 3)),
        ("corner", (65, 40), (5, 3)),
        (0, (10, 16), (1, 1)),
        (2, (64, 48), (4, 3)),
        (2, (75, 60), (4, 4)),
    ],
)
def test_grid_of_any_size(padding, size_hw, grid_hw):
    model = small(patch_cfg={"padding": padding})
    (featmap,) = model(torch.randn(1, 3, *size_hw))
    assert featmap.shape[2:] == grid_hw
    assert small(img_size=size_hw, patch_cfg={"padding": padding}).grid_hw == grid_hw


def test_incomplete_patches_are_filled_with_zeros_bottom_right():
    model = small()
    x = torch.randn(1, 3, 60, 41)
    padded = torch.zeros(1, 3, 64, 48)
    padded[:, :, :60, :41] = x
    torch.testing.assert_close(model(x)[0], model(padded)[0])


def test_drop_path_of_zero_is_exact_in_bf16_training():
    model = small(drop_path_rate=0.0)
    x = torch.randn(64, 3, 64, 48)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        torch.testing.assert_close(model.train()(x)[0], model.eval()(x)[0], rtol=0, atol=0)


def test_drop_path_drops_whole_samples_and_rescales():
    model = small(drop_path_rate=0.5)
    assert [getattr(layer.drop_path, "p", 0) for layer in model.layers] == pytest.approx(
        [0, 0.5 / 3, 1 / 3, 0.5]
    )
    torch.manual_seed(0)
    out = model.layers[-1].drop_path.train()(torch.ones(400, 3, 2))
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert (out == out[:, :1, :1]).all()
    assert 0.4 < (out[:, 0, 0] > 0).float().mean() < 0.6


def test_activation_checkpointing_gives_the_same_gradients():
    x = torch.randn(2, 3, 64, 48)
    gradients = []
    model = small(frozen_stages=0)
    for model.activation_checkpointing in (False, True):
        model.zero_grad()
        model(x)[0].square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
    assert len(gradients[0]) == 12 * 4 + 2
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)


def test_activation_checkpointing_computes_each_layer_twice(count_calls):
    model = small()
    calls = count_calls(model.layers)
    for model.activation_checkpointing in (False, True):
        model(torch.randn(2, 3, 64, 48))[0].sum().backward()
        with torch.no_grad():
            model(torch.randn(2, 3, 64, 48))
    assert calls == [(1 + 1) + (2 + 1)] * 4


def test_layer_ids_run_from_embeddings_to_norm():
    model = small(with_cls_token=True)
    ids = {name: model.layer_id(name) for name, _ in model.named_parameters()}
    assert ids["cls_token"] == ids["pos_embed"] == ids["patch_embed.projection.bias"] == 0
    assert ids["layers.0.ln1.weight"] == 1
    assert ids["layers.3.ffn.layers.0.0.weight"] == 4
    assert ids["ln1.weight"] == 5
    assert set(ids.values()) == set(range(model.num_layers + 2))


@pytest.mark.parametrize(("stages", "frozen"), [(-1, 0), (0, 3), (2, 27)])
def test_frozen_stages(stages, frozen):
    model = small(frozen_stages=stages)
    assert sum(not p.requires_grad for p in model.parameters()) == frozen


@pytest.mark.parametrize("with_cls_token", [True, False])
def test_positions_may_start_from_the_table_of_mae(with_cls_token):
    model = small(with_cls_token=with_cls_token, pos_embed_init="sincos", img_size=(48, 32))
    assert model.pos_embed.requires_grad
    table = sincos_positions((3, 2), model.embed_dims)
    assert torch.equal(model.pos_embed, table if with_cls_token else table[:, 1:])


def test_initialisation_follows_the_seed_and_is_redrawn():
    torch.manual_seed(0)
    model = small(with_cls_token=True)
    drawn = {key: value.clone() for key, value in model.state_dict().items()}
    bound = (6 / (32 + 3 * 32)) ** 0.5  # Xavier: sqrt(6 / (fan_in + fan_out))
    assert drawn["layers.0.attn.qkv.weight"].abs().max() == pytest.approx(bound, rel=0.01)
    assert drawn["pos_embed"].std() == pytest.approx(0.02, rel=0.2)
    assert not drawn["layers.0.attn.qkv.bias"].any()
    model.init_weights()
    assert not torch.equal(model.layers[0].attn.qkv.weight, drawn["layers.0.attn.qkv.weight"])
    assert not torch.equal(model.pos_embed, drawn["pos_embed"])
    torch.manual_seed(0)
    assert torch.equal(small(with_cls_token=True).cls_token, drawn["cls_token"])


def test_is_registered_and_learns():
    torch.manual_seed(0)
    model = MODELS.build(
        {"type": "VisionTransformer", "arch": "tiny", "img_size": 32, "out_type": "cls_token"}
    )
    x, target = torch.randn(4, 3, 32, 32), torch.randn(4, 192)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        loss = (model(x)[0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_patches_and_channels_of_another_number():
    model = small(patch_size=8, in_channels=1)
    assert model.patch_size == 8 and model.grid_hw == (8, 6)
    assert model.patch_embed.projection.weight.shape == (32, 1, 8, 8)
    (featmap,) = model(torch.randn(1, 1, 64, 41))
    assert featmap.shape == (1, 32, 8, 6)


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_the_bias_of_the_fused_projection_is_optional(qkv_bias):
    model = small(qkv_bias=qkv_bias)
    names = {name for name, _ in model.named_parameters()}
    assert {f"layers.{i}.attn.qkv.bias" in names for i in range(4)} == {qkv_bias}
    assert "layers.0.attn.proj.bias" in names
    model.init_weights()


def test_without_a_final_norm_the_last_output_is_that_of_the_last_layer():
    model, normed = small(final_norm=False), small()
    assert "ln1.weight" not in model.state_dict()
    normed.load_state_dict(model.state_dict(), strict=False)
    nn.init.normal_(normed.ln1.weight)
    x = torch.randn(1, 3, 64, 48)
    tokens = model(x)[0].flatten(2).transpose(1, 2)
    torch.testing.assert_close(normed.ln1(tokens), normed(x)[0].flatten(2).transpose(1, 2))


def test_dropout_is_after_positions_attention_and_both_linear_layers():
    model = small(drop_rate=0.25)
    dropouts = {name for name, m in model.named_modules() if getattr(m, "p", 0) == 0.25}
    layers = ("attn.proj_drop", "ffn.layers.0.2", "ffn.layers.2")
    assert dropouts == {"drop_after_pos", *(f"layers.{i}.{n}" for i in range(4) for n in layers)}
    x = torch.randn(1, 3, 64, 48)
    assert not torch.equal(model.train()(x)[0], model(x)[0])
    assert torch.equal(model.eval()(x)[0], model(x)[0])


@pytest.mark.parametrize("stages", [-2, 5])
def test_frozen_stages_are_those_that_there_are(stages):
    with pytest.raises(ValueError, match=r"frozen_stages is in -1\.\.4, the number of layers"):
        small(frozen_stages=stages)
    model = small(frozen_stages=4)
    learnt = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learnt == {"ln1.weight", "ln1.bias"}


@pytest.mark.parametrize(("index", "layer"), [(-4, 0), (3, 3), ([3, -1], 3)])
def test_the_first_and_last_of_out_indices(index, layer):
    assert small(out_indices=index).out_indices == (layer,)


@pytest.mark.parametrize("padding", [-1, 1.5])
def test_paddings_that_are_no_number_of_pixels(padding):
    with pytest.raises(ValueError, match="'corner' or an int >= 0"):
        small(patch_cfg={"padding": padding})


@pytest.mark.parametrize("size_hw", [(64, 41), (57, 48)])
def test_one_incomplete_edge_is_enough_to_be_filled(size_hw):
    assert small()(torch.randn(1, 3, *size_hw))[0].shape[2:] == (4, 3)
