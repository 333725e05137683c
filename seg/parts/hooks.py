"""A picture of the confusion matrix after each evaluation."""

from __future__ import annotations

from typing import Any

from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook

from seg.parts.metric import IoUMetric
from seg.parts.pictures import draw_confusion
from seg.registry import HOOKS


@HOOKS.register_module()
class ConfusionMatrixHook(Hook):
    """Sends the confusion matrix of :class:`seg.parts.metric.IoUMetric` to the visualizer.

    Its backends put it into the work dir and into TensorBoard, as ``confusion_matrix``.
    """

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Draws the matrix of the validation."""
        self._draw(runner, runner.val_loop.evaluator)

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Draws the matrix of the test."""
        self._draw(runner, runner.test_loop.evaluator)

    def _draw(self, runner: Any, evaluator: Evaluator) -> None:
        for metric in evaluator.metrics:
            if is_main_process() and isinstance(metric, IoUMetric):
                assert metric.last_confusion is not None and metric.dataset_meta is not None
                picture = draw_confusion(metric.last_confusion, metric.dataset_meta["classes"])
                runner.visualizer.add_image("confusion_matrix", picture, step=runner.iter)
