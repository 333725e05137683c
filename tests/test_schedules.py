"""The learning rates of the recipes: the release's at the starts of epochs, and never 0."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from engine.config import load_config
from engine.optim.schedules import PolyLR

ROOT = Path(__file__).resolve().parents[1]
TRAINED = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "configs").glob("[!_]*/*/*.py")
    if path.parent.name != "features"
)
#: One leaf a recipe: its sizes share the schedule.
LEAVES = {path.parent: path for path in TRAINED if path.name != "recipe.py"}.values()
EPOCH_ITERS = 7


def rates(cfg, convert=True):
    """The factor of the learning rate in each iteration of each epoch, without the warm-up."""
    wrapper = OptimWrapper(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0))
    wrapper._global_step = 0
    schedulers = []
    for settings in cfg.param_scheduler:
        settings = dict(settings)
        if settings["type"] == "LinearLR":
            continue
        cls = PARAM_SCHEDULERS.get(settings.pop("type"))
        if settings.pop("convert_to_iter_based", False) and convert:
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
def test_every_iteration_learns(path):
    assert min(min(epoch) for epoch in rates(load_config(ROOT / path))) > 0


def linear(epoch, epochs):
    return 1 - epoch / epochs


def cosine(epoch, epochs):
    return (1 + math.cos(math.pi * epoch / epochs)) / 2


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
def test_at_the_start_of_each_epoch_the_rate_is_the_releases(folder, epochs, rate):
    leaf = next(path for path in LEAVES if path.as_posix().startswith(f"configs/{folder}/"))
    found = [epoch[0] for epoch in rates(load_config(ROOT / leaf))]
    assert found == pytest.approx([rate(e, epochs) for e in range(epochs)], rel=1e-6)


@pytest.mark.filterwarnings("ignore:Detected call of")
def test_by_epoch_an_epoch_has_a_rate_that_it_also_has_by_iteration():
    path = next(path for path in LEAVES if path.as_posix().startswith("configs/seg/face/"))
    cfg = load_config(ROOT / path)
    starts = [epoch[0] for epoch in rates(cfg)]
    ends = [*starts[1:], 0.0]
    by_epoch = [epoch[0] for epoch in rates(cfg, convert=False)]
    assert by_epoch[-1] == 0
    assert all(
        end - 1e-9 <= rate <= start + 1e-9
        for end, rate, start in zip(ends, by_epoch, starts, strict=True)
    )


def test_a_schedule_that_begins_later_is_converted_with_its_begin():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    options = dict(begin=2, end=5, power=1.0, eta_min=0.0)
    scheduler = PolyLR.build_iter_from_epoch(optimizer, epoch_length=4, **options)
    assert (scheduler.begin, scheduler.end, scheduler.by_epoch) == (8, 21, False)
    rates = []
    for _ in range(21):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert set(rates[:9]) == {1.0} and rates[9] == pytest.approx(11 / 12)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
