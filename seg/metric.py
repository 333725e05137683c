"""The base of metrics that keep sums on the device, never whole maps."""

from __future__ import annotations

from abc import abstractmethod

from mmengine.dist import all_reduce
from mmengine.evaluator import BaseMetric
from torch import Tensor

from engine.data.dataset import BaseDataset
from engine.data.sample import DataSample
from engine.errors import ConfigError


class SumMetric(BaseMetric):
    """Adds up one tensor over the samples, and then over the ranks.

    Args:
        prefix: Prefix of the reported names.
    """

    default_prefix = ""  # MMEngine warns of None
    needs: tuple[str, ...]
    """What a data sample must hold of the truth."""
    figures: tuple[str, ...]
    """What is reported, in this order."""

    def __init__(self, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        self.sums: Tensor | None = None

    def prepare(self, dataset: BaseDataset, sample: DataSample) -> list[str]:
        """Checks what can be checked before any prediction; returns the names of the figures.

        Args:
            dataset: What will be evaluated.
            sample: One of its samples.

        Raises:
            ConfigError: If the samples lack something.
        """
        missing = [key for key in self.needs if key not in sample]
        if missing:
            raise ConfigError(
                f"{type(self).__name__} needs {', '.join(missing)}, which the samples of "
                f"{type(dataset).__name__} lack. Load it in the pipeline of this dataset."
            )
        return [self._full_name(name) for name in self.figures]

    def _full_name(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

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
        return {self._full_name(name): value for name, value in metrics.items()}
