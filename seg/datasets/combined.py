"""Several datasets as one, with the labels of each mapped to common classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.dataset import BaseDataset
from engine.data.loading import IGNORE_INDEX
from engine.data.sampling import SampleKey
from engine.errors import ConfigError
from seg.datasets.remaps import remap_labels
from seg.datasets.seg_dataset import SegDataset
from seg.registry import DATASETS

Remap = str | Mapping[str, str] | None


@DATASETS.register_module()
class CombinedDataset(BaseDataset):
    """Joins datasets. The classes, colours and flip pairs are those of the first one.

    Args:
        datasets: Configs of the datasets, without pipelines.
        remaps: For each dataset how its class names become those of the first one:
            ``{"Trousers": "Lower_Clothing"}`` (classes not listed are ignored), the name of a table
            of :mod:`seg.datasets.remaps`, or None if its classes are the same.
        weights: For training: the share of an epoch's samples that each dataset gets, as numbers
            > 0 of any sum. Within a dataset all records are used equally often, in an order that
            depends on the seed. An epoch has as many samples as the datasets have records. None
            uses every record once.
        **kwargs: ``pipeline``, ``on_corrupt``, ...: see :class:`engine.data.dataset.BaseDataset`.

    Raises:
        ConfigError: If the lists differ in length, the classes of a dataset differ without a
            remap, or a dataset has a pipeline of its own.
    """

    def __init__(
        self,
        datasets: Sequence[dict],
        remaps: Sequence[Remap] | None = None,
        weights: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        self.datasets = [_build(cfg) for cfg in datasets]
        remaps = [None] * len(datasets) if remaps is None else remaps
        for name, values in (("remaps", remaps), ("weights", weights)):
            if values is not None and len(values) != len(datasets):
                raise ConfigError(
                    f"CombinedDataset: {len(values)} {name} for {len(datasets)} datasets."
                )
        if weights is not None and min(weights) <= 0:
            raise ConfigError(f"CombinedDataset: weights are > 0, found {weights!r}.")
        target = self.datasets[0].metainfo
        self.label_maps = [
            _label_map(dataset, remap, target["classes"])
            for dataset, remap in zip(self.datasets, remaps, strict=True)
        ]
        self.weights = weights
        self._permutations: dict[int, tuple[tuple[int, int], NDArray]] = {}
        roots = [os.path.abspath(dataset.data_root) for dataset in self.datasets]
        super().__init__(
            data_root=os.path.commonpath(roots),
            metainfo={**target, "label_map": None},
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Returns the records of all datasets, one after the other, with the dataset's number."""
        records = []
        for number, dataset in enumerate(self.datasets):
            dataset.full_init()
            for i in range(len(dataset)):
                records.append({**dataset.get_data_info(i), "dataset": number})
        return records

    def get_data_info(self, idx: int) -> dict:
        """Returns a record, with the ``label_map`` of its dataset if that has one."""
        record = super().get_data_info(idx)
        label_map = self.label_maps[record["dataset"]]
        return record if label_map is None else {**record, "label_map": label_map}
