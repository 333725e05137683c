"""Every config loads, builds without memory, and has the sizes that the release documents."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import DATASETS, HOOKS, MODELS, VISUALIZERS, init_default_scope

from engine.checkpoint import model_meta
from engine.config import load_config

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(p.relative_to(ROOT) for p in (ROOT / "configs").glob("[!_]*/*/*.py"))
PARAMETERS = {
    "sapiens_0.3b_face-1024x768": (306_244_608, 33_243_667),
    "sapiens_0.6b_face-1024x768": (634_597_120, 36_389_395),
    "sapiens_1b_face-1024x768": (1_139_163_648, 39_535_123),
    "sapiens_2b_face-1024x768": (2_131_943_040, 44_253_715),
    "mae_sapiens_0.3b_humans-1024x1024": (307_295_232, 28_237_056),
    "mae_sapiens_0.6b_humans-1024x1024": (635_910_400, 28_368_128),
    "mae_sapiens_1b_humans-1024x1024": (1_140_739_584, 28_499_200),
    "mae_sapiens_2b_humans-1024x1024": (2_133_912_960, 28_695_808),
}
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def build(cfg):
    init_default_scope(cfg.default_scope)
    with torch.device("meta"):
        return MODELS.build(cfg.model)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_all_configs_are_found():
    assert len(CONFIGS) >= 5 and set(PARAMETERS) <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_builds_on_the_meta_device(path):
    cfg = load_config(ROOT / path)
    model = build(cfg)
    assert tuple(16 * n for n in model.backbone.grid_hw) == tuple(cfg.input_size_hw)
    assert model_meta(model)["patch_padding"] == 0
    height, width = (int(n) for n in path.stem.split("-")[-1].split("x"))
    assert cfg.input_size_hw == (height, width)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_parts_outside_the_model_build(path):
    cfg = load_config(ROOT / path)
    init_default_scope(cfg.default_scope)
    for loader in filter(cfg.get, LOADERS):
        dataset = DATASETS.build({**cfg[loader].dataset, "lazy_init": True})
        if "decode_head" in cfg.model:
            assert len(dataset.metainfo["classes"]) == cfg.model.decode_head.num_classes
    for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]:
        HOOKS.build(hook)
    VISUALIZERS.build({**cfg.visualizer, "name": path.stem, "vis_backends": []})


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem in PARAMETERS], ids=lambda p: p.stem)
def test_parameter_counts_are_the_releases(path):
    model = build(load_config(ROOT / path))
    head = model.decode_head if hasattr(model, "decode_head") else model.neck
    assert (count(model.backbone), count(head)) == PARAMETERS[path.stem]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_leaf_configs_are_short(path):
    lines = (ROOT / path).read_text().splitlines()
    assert len(lines) <= 60, "say only what is special; the rest belongs into _base_"
