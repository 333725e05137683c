import io
import logging
import sys
from types import SimpleNamespace

import pytest

from engine.history import LateMessageHub
from engine.hooks import ProgressHook


@pytest.fixture
def runner():
    return SimpleNamespace(
        max_iters=10, iter=2, epoch=0, max_epochs=2, val_dataloader=range(4),
        test_dataloader=range(3), logger=SimpleNamespace(handlers=[]),
        message_hub=LateMessageHub("progress"),
    )  # fmt: skip


def test_each_stage_has_a_bar_that_its_iterations_advance(runner, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    hook = ProgressHook()
    hook.before_train(runner)
    hook.after_train_iter(runner, 2)
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0)
    hook.after_val_iter(runner, 1)
    done = {task.description: (task.completed, task.total) for task in hook.progress.tasks}
    assert done == {"train": (3, 10), "val": (2, 4)}
    assert [task.fields["info"] for task in hook.progress.tasks] == ["epoch 1/2", ""]
    assert hook.progress.console.stderr, "standard output is for results"
    runner.message_hub.update_scalar("train/loss", 0.5)
    hook.after_train_iter(runner, 3)
    assert hook.progress.tasks[0].fields["info"] == "epoch 1/2 loss 0.5"
    hook.after_val_epoch(runner)
    hook.after_train(runner)
    assert hook.progress is None


def test_lines_of_the_log_scroll_above_the_bars(runner, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    before, file = io.StringIO(), logging.FileHandler(tmp_path / "a.log")
    terminal, its_stream = logging.StreamHandler(before), file.stream
    runner.logger.handlers += [terminal, file]
    hook = ProgressHook()
    hook.before_train(runner)
    assert terminal.stream is sys.stdout and file.stream is its_stream
    hook.after_train(runner)
    file.close()
    assert terminal.stream is before


def test_nothing_is_shown_without_a_terminal(runner, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    hook = ProgressHook()
    hook.before_test_epoch(runner)
    hook.after_test_iter(runner, 0)
    hook.after_test_epoch(runner)
    assert hook.progress is None
