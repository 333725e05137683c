"""Where a training stops, and where it goes on."""

import os
import signal
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from engine.errors import ConfigError
from engine.runner import Runner
from engine.signals import STOPPED_EXIT_CODE
from tests.conftest import BARE

EVERY_EPOCH = dict(train_cfg__val_interval=1, custom_hooks=[])


class Ask(Hook):
    """Sends this process a signal, as a cluster does."""

    def __init__(self, stage, after=1):
        self.stage, self.left = stage, after

    def _now(self, stage):
        self.left -= stage == self.stage
        if stage == self.stage and self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    def after_train_iter(self, runner, *args, **kwargs):
        self._now("train")

    def after_val_iter(self, runner, *args, **kwargs):
        self._now("val")


class Evaluations(Hook):
    """Notes the epochs that are evaluated, and may break off in the first."""

    def __init__(self, broken=False):
        self.epochs, self.broken = [], broken

    def before_val_epoch(self, runner):
        self.epochs.append(runner.epoch)

    def after_val_iter(self, runner, *args, **kwargs):
        if self.broken:
            raise ConnectionAbortedError


@pytest.fixture(scope="module")
def made():
    return []


@pytest.fixture
def whole(face_config, made):
    """The last checkpoint of a training that nothing stopped, which is made once."""
    if not made:
        made.append(saved_by(train(face_config(**EVERY_EPOCH))))
    return made[0]


def train(cfg, *hooks, work_dir=None):
    """Trains, or goes on in a work dir; returns the runner, whose training may have stopped."""
    cfg.work_dir, cfg.resume = work_dir or cfg.work_dir, work_dir is not None
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    try:
        runner.train()
    except SystemExit as stopped:
        assert stopped.code == STOPPED_EXIT_CODE
    return runner


def names(runner):
    return sorted(path.name for path in Path(runner.work_dir).glob("*.pth*"))


def saved_by(runner):
    return torch.load(Path(runner.work_dir, "epoch_2.pth"), weights_only=False)


def test_an_evaluation_that_broke_off_is_made_again_and_may_be_the_best(face_config):
    cfg, seen = face_config(**EVERY_EPOCH), Evaluations(broken=True)
    with pytest.raises(ConnectionAbortedError):
        train(cfg, seen)
    assert [path.name for path in Path(cfg.work_dir).glob("*.pth")] == ["epoch_1.pth"]
    seen.broken = False
    runner = train(face_config(**EVERY_EPOCH, train_cfg__max_epochs=1), seen, work_dir=cfg.work_dir)
    assert seen.epochs == [1, 1]
    assert names(runner) == ["best_mIoU_epoch_1.pth", "epoch_1.pth"]
    train(face_config(**EVERY_EPOCH), seen, work_dir=cfg.work_dir)
    assert seen.epochs == [1, 1, 2], "what was evaluated is not evaluated again"


@pytest.mark.parametrize(
    "stage, iterations, evaluated",
    [("train", 3, [1, 2]), ("val", 1, [2])],
    ids=["in the last iteration of an epoch", "in its evaluation"],
)
def test_a_stop_at_an_epochs_end_neither_drops_nor_repeats_an_evaluation(
    face_config, whole, stage, iterations, evaluated
):
    stopped = train(face_config(**EVERY_EPOCH), Ask(stage, iterations))
    assert "iter_3.pth" in names(stopped)
    seen = Evaluations()
    rest = train(face_config(**EVERY_EPOCH), seen, work_dir=stopped.work_dir)
    assert seen.epochs == evaluated
    states, scores = zip(
        *(
            (saved["state_dict"], saved["message_hub"]["log_scalars"]["val/mIoU"].data[0].tolist())
            for saved in (saved_by(rest), whole)
        ),
        strict=True,
    )
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert scores[0] == scores[1]


def test_no_stop_while_gradients_wait_for_their_step(face_config):
    accumulating = dict(train_dataloader__batch_size=2, optim_wrapper__accumulative_counts=3)
    stopped = train(face_config(**accumulating, **EVERY_EPOCH), Ask("train", 1))
    assert names(stopped) == ["iter_3.pth"]


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        (dict(val_begin=2, val_interval=1), [2, 3]),
        (dict(val_begin=3, val_interval=1), [3]),
        (dict(val_begin=1, val_interval=2), [2, 3]),
        (dict(val_begin=4, val_interval=1), []),
    ],
)
def test_when_a_training_evaluates(face_config, options, epochs):
    """At the intervals and at the end, from the epoch on that the config says."""
    settings = {f"train_cfg__{key}": value for key, value in options.items()}
    runner = Runner.from_cfg(face_config(train_cfg__max_epochs=3, **settings, **BARE))
    loop, seen = runner.train_loop, []
    runner.val_loop.run = lambda: seen.append(loop.epoch)
    for loop._epoch in (1, 2, 3):
        loop._validate()
    assert seen == epochs


def test_a_sampler_that_cannot_skip_is_no_obstacle_at_an_epochs_end(face_config):
    cfg = face_config(**BARE)
    cfg.train_dataloader.sampler = dict(type="DefaultSampler", shuffle=True)
    runner = Runner.from_cfg(cfg)
    loop = runner.train_loop
    loop._epoch, loop._iter = 0, 1
    with pytest.raises(ConfigError, match=r"Resuming in the middle .* sampler that can skip"):
        loop.run_epoch()
    assert loop._batches_done() == 1
    loop._epoch, loop._iter = 1, len(loop.dataloader)
    assert loop._batches_done() == 0


def test_the_rest_of_an_epoch_counts_its_batches_on(face_config):
    loop = Runner.from_cfg(face_config(**BARE)).train_loop
    counted = []
    loop._stop_if_asked = loop.runner.call_hook = lambda *_: None  # there is no optimizer yet
    loop.run_iter = lambda index, batch: counted.append(index)
    loop._iter = 1
    loop.run_epoch()
    assert counted == [1, 2] and loop.epoch == 1
