"""What a registry cannot build is an error of the config, unless the code is a user's own."""

import pytest
import torch
from mmengine.registry import HOOKS, OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS, Registry

import seg.registry
from engine.errors import ConfigError

OPTIMIZER = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


@pytest.mark.parametrize(
    ("registry", "cfg", "text"),
    [
        (HOOKS, dict(type="CheckpointHook", save_best="x"), "Cannot infer the rule for key x"),
        (HOOKS, dict(interval=5), "gives no type"),
        (HOOKS, 5, "expected a dict that says what to build, found 5"),
        (HOOKS, dict(type="CheckpointHok"), "CheckpointHok"),
        (OPTIM_WRAPPERS, dict(type="AmpOptimWrapper", optimizer=OPTIMIZER), "AmpOptimWrapper"),
        (OPTIMIZERS, dict(type="AdamW", params=[OPTIMIZER.param_groups[0]], lr=-1), "lr=-1"),
        (PARAM_SCHEDULERS, dict(type="PolyLR", optimizer=OPTIMIZER, begin=5, end=2), "PolyLR"),
        (seg.registry.MODELS, dict(type="VitHead", in_channels=4, num_classes="a"), "VitHead"),
    ],
)
def test_it_is_an_error_of_the_config(registry, cfg, text):
    if torch.cuda.is_available() and text == "AmpOptimWrapper":
        pytest.skip("it can be built on a GPU")
    with pytest.raises(ConfigError, match=text):
        registry.build(cfg)


def test_the_counterpart_of_amp_is_named():
    if torch.cuda.is_available():
        pytest.skip("it can be built on a GPU")
    with pytest.raises(ConfigError, match='Here that is "AutocastOptimWrapper"'):
        OPTIM_WRAPPERS.build(dict(type="AmpOptimWrapper", optimizer=OPTIMIZER))


def test_code_of_a_users_own_keeps_its_traceback():
    class Own:
        def __init__(self) -> None:
            raise KeyError("mine")

    registry = Registry("own", build_func=HOOKS.build_func)
    registry.register_module(module=Own)
    with pytest.raises(KeyError, match="mine"):
        registry.build(dict(type="Own"))
