"""What a file replaces need not be drawn, and what it does not replace is drawn all the same."""

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from engine.checkpoint import load_weights
from engine.model.base import build_model
from engine.model.deferred import DeferredDraws
from engine.runner import Runner


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 7)
        self.norm = nn.LayerNorm(7)
        self.token = nn.Parameter(torch.full((3,), 2.0))
        nn.init.normal_(self.first.weight, std=0.1)  # after what the constructor drew
        nn.init.trunc_normal_(self.token, std=0.02)
        self.scale = self.norm.weight.sum().item()


def drawn_after(seed, build):
    torch.manual_seed(seed)
    return build()


def test_what_nothing_replaced_is_drawn_at_the_end():
    torch.manual_seed(0)
    with DeferredDraws() as draws:
        linear = nn.Linear(5, 7)
        nn.init.ones_(linear.bias)
    draws.finish(linear)
    torch.testing.assert_close(linear.weight, drawn_after(0, lambda: nn.Linear(5, 7)).weight)
    assert linear.bias.tolist() == [1.0] * 7


def test_values_that_are_looked_at_are_there():
    with DeferredDraws() as draws:
        layers = Layers()
        assert layers.scale == 7.0 and not layers.norm.bias.any()
        copy = layers.first.weight.detach().clone()
    draws.finish(layers)
    torch.testing.assert_close(layers.first.weight, copy, rtol=0, atol=0)
    assert 0.05 < float(copy.std()) < 0.2
    assert 0 < float(layers.token.abs().max()) < 0.1


def test_copies_are_not_drawn_over():
    source = Layers()
    with DeferredDraws() as draws:
        layers = Layers()
        layers.load_state_dict(source.state_dict())
        state = torch.get_rng_state()
    draws.finish(layers)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(layers.state_dict(), source.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("assign", [False, True])
def test_a_model_that_a_file_fills_draws_nothing_but_what_is_missing(face_config, tmp_path, assign):
    cfg = face_config().model
    init_default_scope("seg")
    torch.manual_seed(1)
    whole = build_model(cfg)
    tensors = whole.state_dict()
    head = [key for key in tensors if key.startswith("decode_head.conv_seg")]
    path = tmp_path / "backbone.pth"
    torch.save({key: value for key, value in tensors.items() if key not in head}, path)
    with DeferredDraws() as draws:
        model = build_model(cfg)
        options = {"allow_missing": "decode_head.conv_seg", "assign": assign}
        load_weights(model, path, **options)
    draws.finish(model)
    loaded = model.state_dict()
    for key in tensors.keys() - head:
        torch.testing.assert_close(loaded[key], tensors[key], rtol=0, atol=0)
    assert 0.005 < float(loaded["decode_head.conv_seg.weight"].std()) < 0.02
    assert not loaded["decode_head.conv_seg.bias"].any()
    assert [p.requires_grad for p in model.parameters()] == [
        p.requires_grad for p in whole.parameters()
    ]


def test_a_training_from_pretrained_weights_draws_its_head(face_config, tmp_path):
    init_default_scope("seg")
    backbone = build_model(face_config().model).backbone.state_dict()
    torch.save(backbone, tmp_path / "mae.pth")
    pretrained = {"type": "Pretrained", "checkpoint": str(tmp_path / "mae.pth")}
    drawn = []
    for init_cfg in (None, pretrained):
        runner = Runner.from_cfg(face_config(model__backbone__init_cfg=init_cfg))
        runner._init_model_weights()
        drawn.append(runner.model)
    torch.testing.assert_close(drawn[1].backbone.state_dict(), backbone, rtol=0, atol=0)
    for ours, usual in zip(*(m.decode_head.parameters() for m in drawn[::-1]), strict=True):
        torch.testing.assert_close(ours.mean(), usual.mean(), rtol=0, atol=0.05)
        torch.testing.assert_close(ours.std(), usual.std(), rtol=0.3, atol=1e-3)
