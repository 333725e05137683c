"""Every config loads, builds without memory, and has the sizes that the release documents.

What the arguments of registered classes are if a config does not name them is recorded in
``golden/arguments.json``; who means to change one runs ``python -m tests.test_configs``.
"""

import inspect
import json
from pathlib import Path

import mmengine.registry
import pytest
import torch
from mmengine.registry import (
    DATASETS,
    HOOKS,
    MODELS,
    VISUALIZERS,
    Registry,
    init_default_scope,
)

import mmsapiens
import pose
import pretrain
import seg
from engine.checkpoint import model_meta
from engine.config import load_config
from engine.registry import OURS, WRITERS

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(p.relative_to(ROOT) for p in (ROOT / "configs").glob("[!_]*/*/*.py"))
RECIPES = [p for p in FILES if p.name == "recipe.py"]
CONFIGS = [p for p in FILES if p.name != "recipe.py"]
PARAMETERS = {
    "sapiens_0.3b_face-1024x768": (306_244_608, 33_243_667),
    "sapiens_0.6b_face-1024x768": (634_597_120, 36_389_395),
    "sapiens_1b_face-1024x768": (1_139_163_648, 39_535_123),
    "sapiens_2b_face-1024x768": (2_131_943_040, 44_253_715),
    "sapiens_0.3b_goliath-1024x768": (306_244_608, 33_250_588),
    "sapiens_0.6b_goliath-1024x768": (634_597_120, 36_396_316),
    "sapiens_1b_goliath-1024x768": (1_139_163_648, 39_542_044),
    "sapiens_2b_goliath-1024x768": (2_131_943_040, 44_260_636),
    "sapiens_0.3b_lip-1024x768": (306_244_608, 33_244_436),
    "sapiens_0.6b_lip-1024x768": (634_597_120, 36_390_164),
    "sapiens_1b_lip-1024x768": (1_139_163_648, 39_535_892),
    "sapiens_2b_lip-1024x768": (2_131_943_040, 44_254_484),
    "sapiens_0.3b_cihp-1024x768": (306_244_608, 33_244_436),
    "sapiens_0.6b_cihp-1024x768": (634_597_120, 36_390_164),
    "sapiens_1b_cihp-1024x768": (1_139_163_648, 39_535_892),
    "sapiens_2b_cihp-1024x768": (2_131_943_040, 44_254_484),
    "sapiens_0.3b_render_people-1024x768": (306_244_608, 13_665_409),
    "sapiens_0.6b_render_people-1024x768": (634_597_120, 15_238_273),
    "sapiens_1b_render_people-1024x768": (1_139_163_648, 16_811_137),
    "sapiens_2b_render_people-1024x768": (2_131_943_040, 19_170_433),
    "sapiens_0.3b_depth_general-1024x768": (306_244_608, 13_665_409),
    "sapiens_0.6b_depth_general-1024x768": (634_597_120, 15_238_273),
    "sapiens_1b_depth_general-1024x768": (1_139_163_648, 16_811_137),
    "sapiens_2b_depth_general-1024x768": (2_131_943_040, 19_170_433),
    "sapiens_0.3b_normal_render_people-1024x768": (306_244_608, 33_231_363),
    "sapiens_0.6b_normal_render_people-1024x768": (634_597_120, 36_377_091),
    "sapiens_1b_normal_render_people-1024x768": (1_139_163_648, 39_522_819),
    "sapiens_2b_normal_render_people-1024x768": (2_131_943_040, 44_241_411),
    "sapiens_0.3b_normal_general-1024x768": (306_244_608, 33_231_363),
    "sapiens_0.6b_normal_general-1024x768": (634_597_120, 36_377_091),
    "sapiens_1b_normal_general-1024x768": (1_139_163_648, 39_522_819),
    "sapiens_2b_normal_general-1024x768": (2_131_943_040, 44_241_411),
    "mae_sapiens_0.3b_humans-1024x1024": (307_295_232, 28_237_056),
    "mae_sapiens_0.6b_humans-1024x1024": (635_910_400, 28_368_128),
    "mae_sapiens_1b_humans-1024x1024": (1_140_739_584, 28_499_200),
    "mae_sapiens_2b_humans-1024x1024": (2_133_912_960, 28_695_808),
}
# Those of these folders follow released models that cut their patches from a padded image.
PADDED = {"normal", "pose", "seg/lip", "seg/cihp"}
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


@pytest.fixture(autouse=True)
def backgrounds(tmp_path, monkeypatch):
    """The folder that RandomBackground looks into when a pipeline is built."""
    (tmp_path / "backgrounds").mkdir()
    (tmp_path / "backgrounds" / "a.jpg").touch()
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))


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
    is_padded = PADDED & {path.parts[1], "/".join(path.parts[1:3])} or "lip" in path.stem
    assert model_meta(model)["patch_padding"] == (2 if is_padded else 0)
    height, width = (int(n) for n in path.stem.split("-")[-1].split("x"))
    assert cfg.input_size_hw == (height, width)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_parts_outside_the_model_build(path):
    cfg = load_config(ROOT / path)
    init_default_scope(cfg.default_scope)
    for loader in filter(cfg.get, LOADERS):
        dataset = DATASETS.build({**cfg[loader].dataset, "lazy_init": True})
        if "num_classes" in cfg.model.get("decode_head", {}):
            assert len(dataset.metainfo["classes"]) == cfg.model.decode_head.num_classes
    for hook in [*cfg.get("custom_hooks", []), *cfg.get("default_hooks", {}).values()]:
        HOOKS.build(hook)
    if "train_dataloader" in cfg:  # others only predict, and draw nothing on the way
        VISUALIZERS.build({**cfg.visualizer, "name": path.stem, "vis_backends": []})


# Poses of Goliath have the file names of its parts.
COUNTED = [p for p in CONFIGS if p.stem in PARAMETERS and p.parts[1] != "pose"]


@pytest.mark.parametrize("path", COUNTED, ids=lambda p: p.stem)
def test_parameter_counts_are_the_releases(path):
    model = build(load_config(ROOT / path))
    head = model.decode_head if hasattr(model, "decode_head") else model.neck
    assert (count(model.backbone), count(head)) == PARAMETERS[path.stem]


@pytest.mark.parametrize("path", [p for p in COUNTED if p.parts[1] == "seg"], ids=lambda p: p.stem)
def test_keys_of_the_head_of_parts_are_the_releases(path):
    model = build(load_config(ROOT / path))
    width, classes = model.backbone.embed_dims, {"face": 19, "goliath": 28}.get(path.parts[2], 20)
    expected = {"conv_seg.weight": (classes, 768, 1, 1), "conv_seg.bias": (classes,)}
    for i in range(3):
        expected[f"deconv_layers.{3 * i}.weight"] = (768 if i else width, 768, 4, 4)
        expected[f"conv_layers.{3 * i}.weight"] = (768, 768, 1, 1)
        expected[f"conv_layers.{3 * i}.bias"] = (768,)
    found = model.decode_head.state_dict()
    assert {key: tuple(value.shape) for key, value in found.items()} == expected
    num_layers = model.backbone.arch["num_layers"]
    assert len(model.state_dict()) == 5 + 12 * num_layers + len(expected)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_leaf_configs_are_short(path):
    lines = (ROOT / path).read_text().splitlines()
    assert len(lines) <= 60, "say only what is special; the rest belongs into _base_"


# What the sizes of a recipe may differ in.
OF_A_SIZE = {
    *("model.backbone.arch", "model.backbone.init_cfg.checkpoint", "auto_scale_lr.enable"),
    *("optim_wrapper.paramwise_cfg.layer_decay_rate", "optim_wrapper.accumulative_counts"),
    *("train_dataloader.batch_size", "model.head.loss.type", "model.head.loss.topk"),
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: "-".join(p.parts[1:3]))
def test_the_four_sizes_of_a_recipe_differ_in_what_is_of_a_size(path):
    leaves = [load_config(ROOT / p).to_dict() for p in CONFIGS if p.parent == path.parent]
    flat = [set(flattened(leaf)) for leaf in leaves]
    differing = {key for leaf in flat for key, _ in leaf ^ flat[0]}
    assert len(leaves) == 4 and {"model.backbone.arch"} <= differing <= OF_A_SIZE


def flattened(value, place=""):
    """Yields the dotted keys of a config, each with its value as text."""
    if not isinstance(value, dict):
        yield place, repr(value)
        return
    for key, item in value.items():
        yield from flattened(item, f"{place}.{key}".lstrip("."))


TRAINED = [p for p in CONFIGS if p.parts[2] != "features"]


@pytest.mark.parametrize("path", TRAINED, ids=lambda p: p.stem)
def test_the_length_of_a_training_is_one_variable(path):
    cfg = load_config(ROOT / path, {"max_epochs": 3})
    assert cfg.train_cfg.max_epochs == 3
    assert {s.end for s in cfg.param_scheduler if s.get("by_epoch", True)} <= {3, 40}  # 40: warm-up


# The folder of a template stands in its data.
PLACED = [p for p in TRAINED if p.parts[2] != "folder"]


@pytest.mark.parametrize("path", PLACED, ids=lambda p: p.stem)
def test_the_place_of_the_data_is_one_variable(path):
    cfg = load_config(ROOT / path, {"data_root": "elsewhere"})
    for loader in filter(cfg.get, LOADERS):
        assert cfg[loader].dataset.data_root.startswith("elsewhere")
    for evaluator in ("val_evaluator", "test_evaluator"):
        ann_file = cfg.get(evaluator, {}).get("ann_file", "elsewhere")
        assert ann_file.startswith("elsewhere")


@pytest.mark.parametrize("path", [p for p in CONFIGS if "tiny" in p.stem], ids=lambda p: p.stem)
def test_a_dumped_config_loads_equal(path, tmp_path):
    cfg = load_config(ROOT / path)
    cfg.dump(tmp_path / "dumped.py")
    assert load_config(tmp_path / "dumped.py").to_dict() == cfg.to_dict()


DEFAULTS = ROOT / "tests" / "golden" / "arguments.json"
PACKAGES = (mmsapiens, pose, pretrain, seg)


def registered(registry):
    """Yields what is registered by us, there and in the registries of the packages."""
    yield from registry.module_dict.values()
    for child in registry.children.values():
        yield from registered(child)


def defaults():
    """The arguments of registered classes, and of the functions of :mod:`mmsapiens`, by name."""
    roots = (r for r in (*vars(mmengine.registry).values(), WRITERS) if isinstance(r, Registry))
    things = [thing for root in roots for thing in registered(root)]
    things += [getattr(mmsapiens, name) for name in mmsapiens.__all__]
    found = {}
    for thing in filter(callable, things):
        for part in inspect.getmro(thing) if inspect.isclass(thing) else (thing,):
            package = part.__module__.partition(".")[0]
            if package in OURS:
                given = inspect.signature(part).parameters.values()
                own = {p.name: repr(p.default) for p in given if p.default is not p.empty}
                found[f"{package}.{part.__qualname__}"] = own
    return {name: own for name, own in sorted(found.items()) if own}


def test_arguments_that_a_config_leaves_out_are_what_they_always_were():
    found = defaults()
    for name, expected in json.loads(DEFAULTS.read_text()).items():
        assert expected.items() <= found[name].items(), name


if __name__ == "__main__":
    DEFAULTS.write_text(json.dumps(defaults(), indent=0) + "\n")
