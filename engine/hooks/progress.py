"""A live progress line on a terminal; log files keep plain lines."""

from __future__ import annotations

import atexit
import logging
import sys
from contextlib import ExitStack
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows iterations, elapsed and remaining time, epoch and loss while training and evaluating.

    Nothing is shown unless the standard error stream is a terminal, and only by the first rank.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self._running = ExitStack()

    def _start(self, runner: Any, stage: str, total: int, completed: int = 0) -> None:
        if not (is_main_process() and sys.stderr.isatty()):
            return
        if self.progress is None:
            self.progress = Progress(
                "{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                "{task.fields[info]}",
                console=Console(stderr=True),
            )
            self._running.enter_context(self.progress)
            # An exception or a signal must not leave a hidden cursor.
            atexit.register(self._running.close)
            # Log lines scroll above the bar: rich wraps sys.stdout, handlers hold the old one.
            for handler in runner.logger.handlers:
                if type(handler) is logging.StreamHandler:
                    self._running.callback(handler.setStream, handler.stream)
                    handler.setStream(sys.stdout)
        self.tasks[stage] = self.progress.add_task(stage, total=total, completed=completed, info="")

    def _finish(self, stage: str) -> None:
        if self.progress is None:
            return
        self.progress.remove_task(self.tasks.pop(stage))
        if not self.tasks:
            self._running.close()
            self.progress = None

    def before_train(self, runner: Any) -> None:
        """Starts the bar of the whole training."""
        self._start(runner, "train", runner.max_iters, runner.iter)

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        """Advances, in training with the loss of the last logged step."""
        if self.progress is None:
            return
        info = ""
        if mode == "train":
            last = runner.message_hub.last_read("train/loss")
            loss = f" loss {last:.4g}" if last is not None else ""
            info = f"epoch {runner.epoch + 1}/{runner.max_epochs}{loss}"
        self.progress.update(self.tasks[mode], advance=1, info=info)

    def after_train(self, runner: Any) -> None:
        """Removes the bar."""
        self._finish("train")

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        """Starts the bar of a validation or test; that of the training stays over its epochs."""
        if mode != "train":
            self._start(runner, mode, len(getattr(runner, f"{mode}_dataloader")))

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        if mode != "train":
            self._finish(mode)
