"""The base of metrics that keep sums on the device, never whole maps."""

from __future__ import annotations

from abc import abstractmethod

from mmengine.dist import all_reduce
from mmengine.evaluator import BaseMetric
from torch import Tensor


class SumMetric(BaseMetric):
    """Adds up one tensor over the samples, and then over the ranks.

    Args:
        prefix: Prefix of the reported names.
    """

    default_prefix = ""  # MMEngine warns of None

    def __init__(self, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self.sums: Tensor | None = None

    def add(self, sums: Tensor) -> None:
        """Adds what a sample contributes."""
        self.sums = sums if self.sums is None else self.sums + sums

    @abstractmethod
    def no_sums(self) -> Tensor:
        """Returns the sums of a rank that had no sample: zeros."""

    @abstractmethod
    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Computes the metrics of the sums of all ranks, which are on the CPU."""

    def evaluate(self, size: int) -> dict[str, float]:
        """Adds the sums of all ranks and computes the metrics; ``size`` is not needed."""
        sums = self.no_sums() if self.sums is None else self.sums
        all_reduce(sums)
        self.sums = None
        metrics = self.compute_metrics(sums.cpu())
        return {f"{self.prefix}/{k}" if self.prefix else k: v for k, v in metrics.items()}
