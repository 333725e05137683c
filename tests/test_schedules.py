"""The learning rates of the recipes: the release's at the ends of epochs, and never 0 for one."""

from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from engine.config import load_config

ROOT = Path(__file__).resolve().parents[1]
TRAINED = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "configs").glob("[!_]*/*/*.py")
    if path.parent.name != "features"
)
#: One leaf a recipe: its sizes share the schedule.
LEAVES = {path.parent: path for path in TRAINED if path.name != "recipe.py"}.values()
EPOCH_ITERS = 7


def rates(cfg):
    """The factor of the learning rate in each iteration of each epoch, without the warm-up."""
    wrapper = OptimWrapper(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0))
    wrapper._global_step = 0
    schedulers = []
    for settings in cfg.param_scheduler:
        settings = dict(settings)
        if settings["type"] == "LinearLR":
            continue
        cls = PARAM_SCHEDULERS.get(settings.pop("type"))
        if settings.pop("convert_to_iter_based", False):
            settings["epoch_length"] = EPOCH_ITERS
            schedulers.append(cls.build_iter_from_epoch(wrapper, **settings))
        else:
            schedulers.append(cls(wrapper, **settings))
    found = []
    for _ in range(cfg.train_cfg.max_epochs):
        found.append([])
        for _ in range(EPOCH_ITERS):
            found[-1].append(wrapper.param_groups[0]["lr"])
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in schedulers:
            if scheduler.by_epoch:
                scheduler.step()
    return found


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("path", LEAVES, ids=lambda p: "-".join(p.parts[1:3]))
def test_every_epoch_learns(path):
    found = rates(load_config(ROOT / path))
    assert all(max(epoch) > 0 for epoch in found)
    assert sum(rate == 0 for epoch in found for rate in epoch) <= 1


def linear(epoch, epochs):
    return 1 - epoch / epochs


def cosine(epoch, epochs):
    return (1 + torch.tensor(torch.pi * epoch / epochs).cos().item()) / 2


def steps(epoch, epochs):
    return 0.1 ** sum(epoch >= milestone for milestone in (170, 200))


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize(
    "folder, epochs, rate",
    [
        ("seg/goliath", 200, linear),
        ("seg/face", 200, linear),
        ("seg/cihp", 400, linear),
        ("seg/lip", 400, cosine),
        ("depth/render_people", 200, linear),
        ("normal/general", 200, linear),
        ("pose/coco", 210, steps),
        ("pose/goliath", 210, steps),
    ],
)
def test_at_the_end_of_each_epoch_the_rate_is_the_releases(folder, epochs, rate):
    leaf = next(path for path in LEAVES if path.as_posix().startswith(f"configs/{folder}/"))
    found = [epoch[0] for epoch in rates(load_config(ROOT / leaf))]
    # The last of n iterations has the rate 0, not the one after it: at most 1 / n below.
    expected = pytest.approx([rate(e, epochs) for e in range(epochs)], abs=1 / epochs / EPOCH_ITERS)
    assert found == expected
