"""The table of released models."""

import pytest
import torch
from mmengine.registry import init_default_scope

from engine.checkpoint import probe
from engine.config import load_config
from engine.errors import ConfigError
from engine.model.base import build_model
from mmsapiens.shipped import find_config, shipped_configs
from mmsapiens.zoo import RELEASED, find, like

KINDS = ("pretrain", "parts", "depth", "normal", "pose-17", "pose-133", "pose-308")
SIZES = ("0.3b", "0.6b", "1b", "2b")


def test_every_released_model_is_there():
    not_released = {"sapiens-2b-parts", "sapiens-2b-pose-308"}
    expected = {f"sapiens-{size}-{kind}" for size in SIZES for kind in KINDS} - not_released
    assert set(RELEASED) == expected and len(expected) == 26
    assert all(released.name == name for name, released in RELEASED.items())


def test_no_two_models_share_a_file():
    stems = [stem for released in RELEASED.values() for stem in released.stems]
    assert len(stems) == len(set(stems)) == 26 + 3 + 4  # two names of pose-308, and of pretrain


def test_facts_belong_together():
    shipped = shipped_configs()
    for released in RELEASED.values():
        assert released.config in shipped
        for text in (released.config, released.folder, *released.stems):
            assert f"sapiens_{released.size}" in text
        assert released.licence == "CC-BY-NC 4.0"
        of_task = {"parts": "seg"}.get(released.task, released.task)
        assert released.folder.startswith(f"{of_task}/checkpoints/")


@pytest.mark.parametrize(
    ("name", "figure", "repository", "torchscript"),
    [
        (
            "1b-parts",
            "mIoU 79.94",
            "facebook/sapiens-seg-1b",
            "facebook/sapiens-seg-1b-torchscript",
        ),
        ("2b-pose-17", "AP 82.2", "noahcao/sapiens-pose-coco", "noahcao/sapiens-pose-coco"),
        ("0.3b-pose-133", "AP 62.0", "noahcao/sapiens-pose-coco", "noahcao/sapiens-pose-coco"),
        (
            *("0.6b-pose-308", "AP 60.9"),
            *("facebook/sapiens-pose-0.6b", "facebook/sapiens-pose-0.6b-torchscript"),
        ),
        (
            *("1b-depth", ""),
            *("facebook/sapiens-depth-1b", "facebook/sapiens-depth-1b-torchscript"),
        ),
    ],
)
def test_figures_and_repositories(name, figure, repository, torchscript):
    released = find(f"sapiens-{name}")
    assert released.figure == figure
    assert (released.repository, released.torchscript_repository) == (repository, torchscript)


@pytest.mark.parametrize(
    ("size", "kind"), [*(("0.3b", kind) for kind in KINDS), ("0.6b", "depth"), ("2b", "normal")]
)
def test_the_tensors_of_a_config_s_model_tell_which_one_it_is(size, kind):
    cfg = load_config(find_config(find(f"sapiens-{size}-{kind}").config))
    init_default_scope(cfg.default_scope)
    with torch.device("meta"):
        found = probe(build_model(cfg.model).state_dict())
    assert like(found) is find(f"sapiens-{size}-{kind}")
    assert found.input_size_hw == ((1024, 1024) if kind == "pretrain" else (1024, 768))
    assert like(found._replace(num_outputs=5)) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sapiens-1b-part", "Did you mean 'sapiens-1b-parts'?"),
        ("sapiens_1b_parts", "Did you mean 'sapiens-1b-parts'?"),
        ("vitpose-h", "WHAT is one of pretrain, parts, depth"),
    ],
)
def test_a_name_that_is_none(name, hint):
    with pytest.raises(ConfigError, match="There is no released model") as caught:
        find(name)
    assert hint in str(caught.value) and "`mmsapiens models`" in str(caught.value)
