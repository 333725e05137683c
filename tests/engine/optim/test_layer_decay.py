import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from torch import nn

from engine.errors import ConfigError
from engine.optim import LayerDecayOptimWrapperConstructor
from pretrain.vision_transformer import VisionTransformer

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "layer_decay.json").read_text())
ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}


class Model(nn.Module):
    """A small backbone under a head with the parameter names of the release's VitHead."""

    def __init__(self):
        super().__init__()
        self.backbone = VisionTransformer(
            ARCH, img_size=(32, 32), with_cls_token=False, out_type="featmap"
        )
        self.decode_head = nn.Module()
        deconv = [nn.ConvTranspose2d(16, 16, 4, bias=False), nn.Identity(), nn.SiLU()]
        self.decode_head.deconv_layers = nn.Sequential(*map(copy.deepcopy, 3 * deconv))
        conv = [nn.Conv2d(16, 16, 1), nn.Identity(), nn.SiLU()]
        self.decode_head.conv_layers = nn.Sequential(*map(copy.deepcopy, 3 * conv))
        self.decode_head.conv_seg = nn.Conv2d(16, 7, 1)


def build(model, optimizer=None, **paramwise_cfg):
    cfg = {
        "constructor": "LayerDecayOptimWrapperConstructor",
        "optimizer": {"type": "AdamW", "lr": 5e-4, "weight_decay": 0.1, **(optimizer or {})},
        "paramwise_cfg": {"layer_decay_rate": 0.75, **paramwise_cfg},
    }
    return build_optim_wrapper(model, cfg)


def settings(optim_wrapper):
    """Parameter name -> (lr, weight decay)."""
    return {
        name: (group["lr"], group["weight_decay"])
        for group in optim_wrapper.optimizer.param_groups
        for name in group["param_names"]
    }


@pytest.mark.parametrize("wrap", [lambda m: m, torch.compile])
def test_the_release_s_multipliers(wrap):
    optim_wrapper = build(wrap(Model()), num_layers=GOLDEN["num_layers"])
    found = settings(optim_wrapper)
    assert found.keys() == GOLDEN["params"].keys()
    for name, (multiplier, weight_decay) in GOLDEN["params"].items():
        assert found[name] == pytest.approx((GOLDEN["base_lr"] * multiplier, weight_decay)), name


def test_compiled_blocks():
    model = Model()
    for i, block in enumerate(model.backbone.layers):
        model.backbone.layers[i] = torch.compile(block)
    assert settings(build(model)) == settings(build(Model()))


def test_data_parallel(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        parallel = nn.parallel.DistributedDataParallel(Model())
        assert settings(build(parallel)) == settings(build(Model()))
    finally:
        torch.distributed.destroy_process_group()


def test_groups_are_ordered_and_logged(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        groups = build(Model()).optimizer.param_groups
    finally:
        logger.removeHandler(caplog.handler)
    names = [group["group_name"] for group in groups]
    kinds = ("decay", "no_decay")
    assert names == [f"layer_{layer}_{kind}" for layer in range(4) for kind in kinds]
    lines = [line for line in caplog.messages if line.startswith("layer_")]
    assert len(lines) == len(groups)
    # Layer 1: four linear weights of 16x48, 16x16, 16x32 and 32x16.
    assert lines[2] == "layer_1_decay: lr 0.000281, weight decay 0.1, 4 tensors, 2,048 parameters"


def test_custom_keys_multiply_and_the_longest_wins():
    plain = settings(build(Model()))
    rules = {
        "backbone": {"lr_mult": 0.1},
        "backbone.layers.1.attn": {"lr_mult": 0.5, "decay_mult": 0.2},
    }
    found = settings(build(Model(), custom_keys=rules))
    for name, (lr, weight_decay) in plain.items():
        if name.startswith("backbone.layers.1.attn"):
            expected = (0.5 * lr, 0.2 * weight_decay)
        else:
            expected = (0.1 * lr if name.startswith("backbone") else lr, weight_decay)
        assert found[name] == pytest.approx(expected), name


def test_frozen_parameters_are_left_out():
    model = Model()
    model.backbone.patch_embed.requires_grad_(False)
    assert not any("patch_embed" in name for name in settings(build(model)))


def test_a_bare_backbone():
    found = settings(build(Model().backbone))
    assert found["pos_embed"][0] == pytest.approx(5e-4 * 0.75**3)
    assert found["ln1.weight"][0] == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("paramwise_cfg", "message"),
    [
        ({"num_layers": 24}, "is 24, but the backbone has 2 layers"),
        ({"layer_decay_rate": 0}, r"layer_decay_rate: expected a number in \(0, 1\]"),
        ({"layer_decay_rate": None}, "layer_decay_rate"),
        ({"layer_decay_rate": 1.01}, "layer_decay_rate: expected .*, found 1.01"),
        ({"layer_decay_rate": "0.5"}, "layer_decay_rate: expected .*, found '0.5'"),
        ({"decay_rate": 0.5}, 'nothing reads the key "decay_rate"'),
        ({"custom_keys": {"ln": {"decay_multi": 0.0}}}, 'Did you mean "decay_mult"'),
        ({"custom_keys": {"relative_position": {"lr_mult": 0.0}}}, "part of no parameter"),
    ],
)
def test_errors(paramwise_cfg, message):
    with pytest.raises(ConfigError, match=message):
        build(Model(), **paramwise_cfg)


def test_a_model_without_layers():
    with pytest.raises(ConfigError, match="Linear has no backbone"):
        build(nn.Linear(2, 2))


def test_resume_under_weights_only(tmp_path):
    first = build(Model())
    torch.save(first.state_dict(), tmp_path / "state.pth")
    second = build(Model(), optimizer={"lr": 1.0})
    second.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    assert settings(second) == settings(first)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fused_on_a_gpu():
    assert build(Model().cuda()).optimizer.param_groups[0]["fused"]
    explicit = build(Model().cuda(), optimizer={"fused": False})
    assert not explicit.optimizer.param_groups[0]["fused"]


def test_a_rate_of_one_leaves_all_layers_alike():
    assert {lr for lr, _ in settings(build(Model(), layer_decay_rate=1)).values()} == {5e-4}


@pytest.mark.parametrize("key", ["lr", "weight_decay"])
def test_what_layer_decay_multiplies_must_be_given(key):
    optimizer = {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.1}
    del optimizer[key]
    with pytest.raises(ConfigError, match=f"optimizer: layer decay needs {key} to be given"):
        LayerDecayOptimWrapperConstructor({"optimizer": optimizer}, {"layer_decay_rate": 0.9})
    with pytest.raises(ConfigError, match=r"layer_decay_rate: expected .* found None"):
        LayerDecayOptimWrapperConstructor({"optimizer": optimizer})


def test_a_backbone_that_does_not_know_its_layers():
    model = Model()
    model.backbone = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="Model has a Linear without them"):
        build(model)


def test_a_position_embedding_and_vectors_have_no_weight_decay_and_matrices_have():
    found = settings(build(Model()))
    assert {name for name, (_, decay) in found.items() if decay} == {
        name for name, param in Model().named_parameters()
        if param.ndim > 1 and "pos_embed" not in name
    }  # fmt: skip
