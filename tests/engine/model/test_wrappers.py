import torch
from torch import nn

from engine.model.wrappers import plain_name, unwrap


def test_unwraps_what_is_wrapped_and_nothing_else():
    model = nn.Linear(2, 2)
    parallel = nn.DataParallel(model)
    assert unwrap(model) is model
    assert unwrap(parallel) is model
    assert unwrap(torch.compile(model)) is model
    assert unwrap(torch.compile(parallel)) is model


def test_plain_names():
    assert plain_name("backbone.layers.0._orig_mod.ln1.weight") == "backbone.layers.0.ln1.weight"
    assert plain_name("_orig_mod.layers.0._checkpoint_wrapped_module.attn") == "layers.0.attn"
    assert plain_name("not_orig_mod.weight") == "not_orig_mod.weight"
