"""Label maps as pictures: colours over the image, a legend of what occurs, confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from engine.data.sample import DataSample
from engine.visualizer import PanelVisualizer, put_text
from seg.parts.metric import IoUMetric
from seg.registry import HOOKS, VISUALIZERS


def overlay(
    image: np.ndarray,
    seg_map: np.ndarray,
    palette: Sequence[Sequence[int]],
    opacity: float = 0.5,
) -> np.ndarray:
    """Blends the palette's colours (RGB) of labels (H, W) uint8 over an RGB image (H, W, 3) uint8.

    Labels without a colour (255, ignored) are white.
    """
    colours = np.full((256, 3), 255, np.uint8)
    colours[: len(palette)] = palette
    return cv2.addWeighted(image, 1 - opacity, colours[seg_map], opacity, 0)


def draw_legend(
    height: int,
    labels: Sequence[int],
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> np.ndarray:
    """Draws a column (height, W, 3) with a coloured box and the name of each label."""
    row = int(np.clip(height / max(len(labels), 1), 8, max(height // 40, 18)))
    scale = row / 34
    names = [classes[label] if label < len(classes) else "ignored" for label in labels]
    sizes_wh = [cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0] for name in names]
    width = max((size[0] for size in sizes_wh), default=0) + 2 * row
    legend = np.full((height, width, 3), 255, np.uint8)
    for i, (name, label) in enumerate(zip(names, labels, strict=True)):
        top = i * row
        colour = tuple(map(int, palette[label])) if label < len(palette) else (255, 255, 255)
        corners = (row // 4, top + row // 5), (row + row // 4, top + row - row // 5)
        cv2.rectangle(legend, *corners, colour, thickness=-1)
        cv2.rectangle(legend, *corners, (80, 80, 80), thickness=1)
        origin = (row + row // 2, top + row - row // 3)
        put_text(legend, name, origin, scale, (0, 0, 0))
    return legend


def draw_confusion(confusion: np.ndarray, classes: Sequence[str], cell: int = 26) -> np.ndarray:
    """Draws a confusion matrix as shares of each true class.

    Args:
        confusion: Pixels by (true class, predicted class), (C, C).
        classes: Names of the classes.
        cell: Side of a cell in pixels.

    Returns:
        (H, W, 3) uint8 RGB: a row a true class, a column a predicted class, cells dark where the
        share is high and with the share in percent from 1 % on; empty rows are of classes that do
        not occur.
    """
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    blocks = np.kron(np.rint(255 * shares).astype(np.uint8), np.ones((cell, cell), np.uint8))
    cells = cv2.applyColorMap(255 - blocks, cv2.COLORMAP_BONE)[..., ::-1].copy()
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        share = shares[row, column]
        colour = (255, 255, 255) if share > 0.5 else (0, 0, 0)
        origin = (column * cell + 2, (row + 1) * cell - cell // 3)
        put_text(cells, f"{100 * share:.0f}", origin, 0.35, colour)
    names = _draw_names(classes, cell)
    top = np.full((names.shape[1], names.shape[1], 3), 255, np.uint8)
    put_text(top, "true, predicted", (4, cell - cell // 3), 0.4, (0, 0, 0))
    columns = cv2.rotate(names, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return np.vstack([np.hstack([top, columns]), np.hstack([names, cells])])


def _draw_names(names: Sequence[str], row: int) -> np.ndarray:
    """Draws names one below the other, (len(names) * row, W, 3)."""
    width = max(cv2.getTextSize(n, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)[0][0] for n in names) + 8
    picture = np.full((len(names) * row, max(width, 120), 3), 255, np.uint8)
    for i, name in enumerate(names):
        put_text(picture, name, (4, (i + 1) * row - row // 3), 0.4, (0, 0, 0))
    return picture


@VISUALIZERS.register_module()
class SegVisualizer(PanelVisualizer):
    """Draws image | truth | prediction | legend, of ``gt_sem_seg`` and ``pred_sem_seg`` (1, H, W).

    Args:
        name: See MMEngine's Visualizer.
        opacity: Weight of the colours in [0, 1].
        **kwargs: See :class:`engine.visualizer.PanelVisualizer`.
    """

    def __init__(self, name: str = "visualizer", opacity: float = 0.5, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.opacity = opacity

    def panels(self, image: np.ndarray, data_sample: DataSample) -> list[np.ndarray]:
        """See base class."""
        assert self.dataset_meta is not None
        classes, palette = self.dataset_meta["classes"], self.dataset_meta["palette"]
        small = self.shrink(image)
        panels, labels = [small], set()
        for key in ("gt_sem_seg", "pred_sem_seg"):
            if key in data_sample:
                seg_map = data_sample.get(key).data[0].cpu().numpy()
                size_wh = small.shape[1::-1]
                seg_map = cv2.resize(seg_map, size_wh, interpolation=cv2.INTER_NEAREST)
                panels.append(overlay(small, seg_map, palette, self.opacity))
                labels |= set(np.unique(seg_map).tolist())
        return [*panels, draw_legend(len(small), sorted(labels), classes, palette)]


@HOOKS.register_module()
class ConfusionMatrixHook(Hook):
    """Sends the confusion matrix of :class:`seg.parts.metric.IoUMetric` to the visualizer.

    Its backends put it into the work dir and into TensorBoard, as ``confusion_matrix``.
    """

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        """Draws the matrix of a validation or a test."""
        metrics = [] if mode == "train" else getattr(runner, f"{mode}_loop").evaluator.metrics
        for metric in metrics:
            if is_main_process() and isinstance(metric, IoUMetric):
                assert metric.last_confusion is not None and metric.dataset_meta is not None
                picture = draw_confusion(metric.last_confusion, metric.dataset_meta["classes"])
                runner.visualizer.add_image("confusion_matrix", picture, step=runner.iter)
