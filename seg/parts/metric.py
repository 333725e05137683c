"""Intersection over union from one confusion matrix on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import Tensor

from engine.data.dataset import BaseDataset
from engine.data.sample import DataSample
from engine.errors import ConfigError, DataError
from engine.tables import format_table
from seg.metric import SumMetric
from seg.registry import METRICS


def confusion_matrix(
    pred: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255
) -> Tensor:
    """Counts pixels by (true class, predicted class).

    Args:
        pred: Predicted labels, any shape, integers in [0, num_classes).
        target: True labels of the same shape; pixels of ``ignore_index`` do not count.

    Returns:
        (num_classes, num_classes) int64 on the device of the labels; rows are the true classes.

    Raises:
        DataError: If a label is neither a class nor ignored.
    """
    # Ignored pixels are counted as well, and their row is left out: that costs less than to select
    # the others. In place, as each pass over memory costs as much as the counting.
    pair = target.flatten().to(torch.int32).mul_(num_classes).add_(pred.flatten())
    counts = torch.bincount(pair, minlength=max(num_classes, ignore_index + 1) * num_classes)
    counts[ignore_index * num_classes : (ignore_index + 1) * num_classes] = 0
    if counts[num_classes**2 :].any():
        raise DataError(
            f"The ground truth holds label {int(counts.nonzero().max()) // num_classes}, but there "
            f"are {num_classes} classes (0..{num_classes - 1}, {ignore_index} = ignored)."
        )
    return counts[: num_classes**2].view(num_classes, num_classes)


@METRICS.register_module()
class IoUMetric(SumMetric):
    """Accuracy and intersection over union over the whole dataset, in percent.

    Reports ``mIoU`` and ``mAcc`` (means over the classes that occur, in the truth or the prediction
    for mIoU, in the truth for mAcc; the background counts as a class) and ``aAcc`` (share of right
    pixels), and logs a table by class. Only a confusion matrix is kept and exchanged between ranks.

    Args:
        ignore_index: Label that does not count.
        prefix: Prefix of the reported names.

    Attributes:
        last_confusion: Of the last evaluation: pixels of all ranks by (true class, predicted
            class), (C, C).
    """

    needs = ("gt_sem_seg",)
    figures = ("mIoU", "mAcc", "aAcc")

    def __init__(self, ignore_index: int = 255, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self.ignore_index = ignore_index
        self.last_confusion: np.ndarray | None = None

    @property
    def classes(self) -> Sequence[str]:
        """The names of the dataset's classes."""
        assert self.dataset_meta is not None, "IoUMetric needs dataset_meta with the classes."
        return self.dataset_meta["classes"]

    def prepare(self, dataset: BaseDataset, sample: DataSample) -> list[str]:
        """See base class; looks at the classes and at the labels of the sample, too."""
        names = super().prepare(dataset, sample)
        if "classes" not in dataset.metainfo:
            raise ConfigError(f"IoUMetric needs classes, which {type(dataset).__name__} lacks.")
        labels = sample.gt_sem_seg.data
        no_prediction = torch.zeros(1, *sample.metainfo["ori_size_hw"], dtype=torch.long)
        self._count(no_prediction, labels, len(dataset.metainfo["classes"]))
        return names

    def no_sums(self) -> Tensor:
        """See base class."""
        return torch.zeros(len(self.classes), len(self.classes), dtype=torch.int64)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Counts a batch.

        Args:
            data_batch: Not used.
            data_samples: Dicts with ``pred_sem_seg.data`` and ``gt_sem_seg.data``, (1, H, W) each.
        """
        for sample in data_samples:
            pred = sample["pred_sem_seg"]["data"]
            target = sample["gt_sem_seg"]["data"].to(pred.device)
            self.add(self._count(pred, target, len(self.classes)))

    def _count(self, pred: Tensor, target: Tensor, num_classes: int) -> Tensor:
        if pred.shape != target.shape:
            raise DataError(
                f"The prediction is {tuple(pred.shape[-2:])}, the truth "
                f"{tuple(target.shape[-2:])} (height, width): in the test pipeline LoadLabels "
                "comes after Warp, so that labels keep the size of the image."
            )
        return confusion_matrix(pred, target, num_classes, self.ignore_index)

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Computes the metrics of the confusion matrix (C, C) and logs the table by class."""
        self.last_confusion = confusion = results.numpy()
        right = np.diag(confusion).astype(np.float64)
        true, predicted = confusion.sum(1), confusion.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            iou = 100 * right / (true + predicted - right)
            acc = 100 * right / true
        a_acc = 100 * right.sum() / max(true.sum(), 1)
        rows = [
            [name, f"{i:.2f}", f"{a:.2f}", f"{t / max(true.sum(), 1):.2%}"]
            for name, i, a, t in zip(self.classes, iou, acc, true, strict=True)
        ]
        table = format_table(["Class", "IoU", "Acc", "share of pixels"], rows)
        MMLogger.get_current_instance().info(f"per class results:\n{table}")
        scores = {"mIoU": _mean(iou), "mAcc": _mean(acc), "aAcc": a_acc}
        return {name: round(float(score), 2) for name, score in scores.items()}


def _mean(values: np.ndarray) -> float:
    return float(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else 0.0
