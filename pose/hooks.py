"""Hooks of pose training."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RedrawnHook(Hook):
    """Logs after each epoch how many of this rank's samples had too few keypoints to learn from."""

    def before_train_epoch(self, runner: Any) -> None:
        """Reads the count that the epoch begins with."""
        self.before = getattr(runner.train_dataloader.dataset, "num_redrawn", 0)

    def after_train_epoch(self, runner: Any) -> None:
        """Logs the difference."""
        loader = runner.train_dataloader
        if not hasattr(loader.dataset, "num_redrawn"):  # a wrapper around several
            return
        num = loader.dataset.num_redrawn - self.before
        share = num / max(len(loader) * loader.batch_size, 1)
        runner.logger.info(f"{num} samples were redrawn for want of keypoints ({share:.1%}).")
