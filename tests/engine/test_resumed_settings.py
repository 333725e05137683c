"""A resumed training has the settings of the config, and says which differ from before."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.optim import (
    CosineAnnealingLR,
    LinearLR,
    MultiStepLR,
    OptimWrapper,
    PolyLR,
    ReduceOnPlateauLR,
)
from torch import nn

from engine.errors import ConfigError, WeightsError
from engine.resume import Position, position_of, restore
from engine.runner import Runner

EPOCH_ITERS = 5


def build(
    lr=0.1, decay=0.5, layers=(("0.",), ("1.",)), named=True, schedules=(), cls=None, **extra
):
    """A training of a small model whose layers have groups of their own."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    groups = []
    for depth, prefixes in enumerate(layers):
        own = [(n, p) for n, p in model.named_parameters() if n.startswith(prefixes)]
        params = own if named else [p for _, p in own]
        groups.append({"params": params, "lr": lr * decay**depth})
    wrapper = OptimWrapper((cls or torch.optim.AdamW)(groups, lr=lr, **extra))
    return model, wrapper, [schedule(wrapper) for schedule in schedules]


def warm_up(wrapper):
    return LinearLR(wrapper, start_factor=0.1, begin=0, end=4, by_epoch=False)


def poly(epochs):
    return lambda wrapper: PolyLR(wrapper, begin=0, end=epochs * EPOCH_ITERS, by_epoch=False)


def steps(*milestones, gamma=0.1):
    return lambda wrapper: MultiStepLR(wrapper, milestones=[*milestones], gamma=gamma)


def train(training, first, last):
    """Runs iterations in the order of the training loop; returns the rates of each."""
    model, wrapper, schedulers = training
    rates = []
    for iteration in range(first, last):
        rates.append([group["lr"] for group in wrapper.param_groups])
        torch.manual_seed(iteration)
        wrapper.update_params(model(torch.rand(2, 3)).square().sum())
        for by_epoch in (False, True):
            if not by_epoch or (iteration + 1) % EPOCH_ITERS == 0:
                for scheduler in schedulers:
                    if scheduler.by_epoch == by_epoch:
                        scheduler.step()
    return rates


def save(training):
    model, wrapper, schedulers = training
    states = [s.state_dict() for s in schedulers]
    return model.state_dict(), wrapper.state_dict(), [dict(state) for state in states]


def resume(training, saved, iteration):
    model, wrapper, schedulers = training
    model.load_state_dict(saved[0])
    position = Position(iteration // EPOCH_ITERS, iteration, evaluated=False, moved=False)
    checkpoint = {"optimizer": saved[1], "param_schedulers": saved[2]}
    return restore(wrapper, schedulers, checkpoint, position, EPOCH_ITERS)


@pytest.mark.parametrize("iteration", [3, 10, 13])
def test_without_a_change_all_goes_on_as_it_was(iteration):
    settings = dict(schedules=(warm_up, poly(4), steps(2)))
    whole, part, rest = build(**settings), build(**settings), build(**settings)
    rates = train(whole, 0, 20)
    train(part, 0, iteration)
    assert resume(rest, save(part), iteration) == []
    assert train(rest, iteration, 20) == rates[iteration:]
    torch.testing.assert_close(rest[0].state_dict(), whole[0].state_dict(), rtol=0, atol=0)


COSINE = (warm_up, lambda wrapper: CosineAnnealingLR(wrapper, T_max=20, by_epoch=False))


@pytest.mark.parametrize(
    "before, after, expected",
    [
        (dict(schedules=(warm_up, poly(2))), dict(schedules=(warm_up, poly(4))), "[1] end: 10 -> "),
        (dict(schedules=(poly(4),)), dict(schedules=(poly(4),), lr=0.02), "lr: 0.1 -> 0.02 and"),
        (dict(schedules=(poly(4),)), dict(schedules=(poly(4),), decay=0.9), "lr: 0.05 -> 0.09"),
        (dict(schedules=(steps(1, 2),)), dict(schedules=(steps(1, 3),)), "[0] milestones: "),
        (dict(schedules=(warm_up,)), dict(schedules=(warm_up, steps(1))), "1 schedules -> 2"),
        (dict(schedules=(warm_up, poly(4))), dict(schedules=COSINE), "[1] T_max: None -> 20"),
        (dict(schedules=(poly(4),)), dict(schedules=()), "1 schedules -> 0"),
    ],
)
def test_the_rates_of_a_changed_schedule_are_those_of_a_run_that_always_had_it(
    before, after, expected
):
    part, rest = build(**before), build(**after)
    train(part, 0, 10)
    changes = resume(rest, save(part), 10)
    assert expected in "; ".join(changes)
    assert train(rest, 10, 20) == train(build(**after), 0, 20)[10:]
    assert not torch.equal(rest[0][0].weight, part[0][0].weight)


@pytest.mark.parametrize(("betas", "said"), [([0.9, 0.999], 0), ([0.8, 0.999], 1)])
def test_a_list_of_the_same_numbers_as_a_tuple_is_no_change(betas, said):
    saved = save(build())
    for group in saved[1]["param_groups"]:
        group["betas"] = betas
    assert len(resume(build(), saved, 5)) == said


def test_how_many_groups_have_other_settings_is_told():
    one_group = dict(layers=(("0.", "1."),))
    for layers, told in (({}, "-> 0.1 and others, in 2 groups"), (one_group, "-> 0.1")):
        saved = save(build(weight_decay=0.2, **layers))
        (said,) = resume(build(weight_decay=0.1, **layers), saved, 5)
        assert said == f"optimizer weight_decay: 0.2 {told}"


def test_other_settings_of_the_optimizer_take_effect_and_its_memory_stays():
    part = build(schedules=(poly(4),), betas=(0.9, 0.999), weight_decay=0.1)
    train(part, 0, 10)
    rest = build(schedules=(poly(4),), betas=(0.8, 0.9), weight_decay=0.5)
    saved = save(part)
    changes = "; ".join(resume(rest, saved, 10))
    assert "betas: (0.9, 0.999) -> (0.8, 0.9)" in changes and "0.1 -> 0.5" in changes
    groups = rest[1].optimizer.param_groups
    assert all(g["betas"] == (0.8, 0.9) and g["weight_decay"] == 0.5 for g in groups)
    theirs, own = (w.optimizer.state_dict()["state"] for w in (part[1], rest[1]))
    torch.testing.assert_close(own, theirs, rtol=0, atol=0)


def test_parameters_keep_their_memory_in_other_groups():
    part = build()
    train(part, 0, 3)
    rest = build(layers=(("1.weight",), ("0.weight", "1.bias"), ("0.bias",)), decay=1.0)
    resume(rest, save(part), 3)
    for (name, a), (_, b) in zip(
        part[0].named_parameters(), rest[0].named_parameters(), strict=True
    ):
        memory = [w.optimizer.state[p]["exp_avg"] for w, p in ((part[1], a), (rest[1], b))]
        assert torch.equal(*memory), name


@pytest.mark.parametrize(
    "after, expected",
    [
        (dict(cls=torch.optim.SGD), "they are of different types"),
        (dict(cls=torch.optim.Adamax), "they are of different types"),
        (dict(layers=(("0.", "1."),), named=False), "1 groups of parameters, the checkpoint's 2"),
    ],
)
def test_optimizers_that_do_not_fit_are_refused(after, expected):
    part = build()
    train(part, 0, 3)
    with pytest.raises(ConfigError, match=f"{expected}.*--load-from"):
        resume(build(**after), save(part), 3)


def test_parameters_that_did_not_learn_before_are_named():
    part = build(layers=(("1.",),))
    train(part, 0, 3)
    with pytest.raises(ConfigError, match=r"2 parameters that learn now, such as 0\.bias"):
        resume(build(), save(part), 3)


def test_a_schedule_that_follows_from_evaluations_cannot_be_made_anew():
    plateau = [lambda w: ReduceOnPlateauLR(w, monitor="loss", rule="less")]
    part = build(schedules=plateau)
    assert resume(build(schedules=plateau), save(part), 0) == []
    with pytest.raises(ConfigError, match=r"lr: 0\.1 -> 0\.3.*follows from evaluations"):
        resume(build(schedules=plateau, lr=0.3), save(part), 0)


META = {"epoch": 2, "iter": 20, "epoch_iters": 10, "batch_size": 4}


@pytest.mark.parametrize(
    "meta, now, expected",
    [
        (META, (10, 4), (2, 20, False)),
        (META, (5, 8), (2, 10, True)),
        ({**META, "iter": 23}, (10, 4), (2, 23, False)),
        ({**META, "iter": 30}, (5, 8), (2, 15, True)),  # stopped after the last iteration
        ({"epoch": 2, "iter": 20}, (10, 8), (2, 20, False)),  # of an older version
    ],
)
def test_an_epochs_end_is_a_place_to_change_the_batch_size(meta, now, expected):
    epoch, iteration, evaluated, moved = position_of(meta, *now)
    assert (epoch, iteration, moved) == expected and not evaluated


@pytest.mark.parametrize(
    "iteration, now", [(23, (10, 3)), (23, (5, 8)), (31, (10, 4)), (19, (10, 4))]
)
def test_the_middle_of_an_epoch_is_none(iteration, now):
    with pytest.raises(ConfigError, match="does not fit"):
        position_of({**META, "iter": iteration}, *now)


def rates(cfg):
    rows = [
        json.loads(line)
        for path in sorted(Path(cfg.work_dir).glob("*/vis_data/scalars.json"))
        for line in path.read_text().splitlines()
    ]
    return {row["iter"]: row["base_lr"] for row in rows if "base_lr" in row}


def log_of(cfg):
    return "".join(path.read_text() for path in Path(cfg.work_dir).glob("*/*.log"))


def run(cfg, resume=None, work_dir=None):
    cfg.work_dir = work_dir or cfg.work_dir
    cfg.resume, cfg.load_from = resume is not None, resume
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@pytest.fixture(scope="module")
def made():
    return []


@pytest.fixture
def first(face_config, made):
    """The work dir of a training of one epoch of three iterations, made once."""
    if not made:
        cfg = face_config(train_cfg__max_epochs=1)
        runner = run(cfg)
        runner.save_checkpoint(cfg.work_dir, "iter_2.pth", meta={"epoch": 0, "iter": 2})
        made.append(Path(cfg.work_dir))
    return made[0]


def test_a_longer_training_goes_on_with_the_rates_of_the_longer_one(face_config, first):
    cfg = face_config(train_cfg__max_epochs=3, train_cfg__val_interval=3)
    run(cfg, resume=str(first / "epoch_1.pth"))
    expected = {i + 1: 3e-3 * (1 - i / 9) for i in range(3, 9)}  # the warm-up ended before
    assert rates(cfg) == pytest.approx(expected)
    assert "is followed from here on: param_scheduler[1] end: 4 -> 10" in log_of(cfg)


def test_a_shorter_training_than_is_done_is_refused(face_config, first, tmp_path):
    saved = torch.load(first / "epoch_1.pth", weights_only=False)
    saved["meta"].update(epoch=1, iter=4)
    torch.save(saved, tmp_path / "iter_4.pth")
    with pytest.raises(ConfigError, match="max_epochs is 1, but the checkpoint is in epoch 2: "):
        run(face_config(train_cfg__max_epochs=1), resume=str(tmp_path / "iter_4.pth"))


def test_a_training_that_is_complete_says_so(face_config, first):
    cfg = face_config(train_cfg__max_epochs=1)
    assert run(cfg, resume=str(first / "epoch_1.pth")).iter == 3
    assert "The training is at its end" in log_of(cfg)


def test_another_batch_size_and_seed_at_the_end_of_an_epoch(face_config, first):
    cfg = face_config(train_dataloader__batch_size=6, randomness__seed=1)
    runner = run(cfg, resume=str(first / "epoch_1.pth"))
    assert (runner.epoch, runner.iter) == (2, 4), "as though there had been two batches an epoch"
    assert "iterations: 3 -> 2" in log_of(cfg) and "The seed was 0 so far" in log_of(cfg)
    assert runner.train_dataloader.sampler.seed == 1


@pytest.mark.parametrize(
    "changed, expected",
    [
        (dict(randomness__seed=1), "randomness.seed is 1.*of seed 0"),
        (dict(train_dataloader__batch_size=5), "does not fit 3 batches an epoch, of 5 samples"),
    ],
)
def test_the_middle_of_an_epoch_holds_to_its_order(face_config, first, changed, expected):
    with pytest.raises(ConfigError, match=expected):
        run(face_config(**changed), resume=str(first / "iter_2.pth"))


def test_files_of_weights_only_say_how_they_are_used(face_config, first, tmp_path):
    (best,) = first.glob("best_mIoU_epoch_*.pth")
    clean = tmp_path / "clean.pth"
    torch.save({"state_dict": torch.load(best, weights_only=False)["state_dict"]}, clean)
    for path in (best, clean):
        with pytest.raises(WeightsError, match=r"holds weights only.*--load-from"):
            run(face_config(), resume=str(path))


def test_other_loops_are_not_resumed(face_config, first):
    cfg = face_config()
    cfg.train_cfg = dict(by_epoch=False, max_iters=9)
    with pytest.raises(ConfigError, match=r"IterBasedTrainLoop cannot go on.*--load-from"):
        run(cfg, resume=str(first / "epoch_1.pth"))
