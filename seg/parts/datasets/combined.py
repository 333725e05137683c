"""Several datasets as one, with the labels of each mapped to common classes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.dataset import BaseDataset
from engine.data.loading import IGNORE_INDEX
from engine.data.sampling import RECORD_STREAM, SampleKey
from engine.errors import ConfigError
from seg.parts.datasets.remaps import remap_labels
from seg.parts.datasets.seg_dataset import SegDataset
from seg.registry import DATASETS

Remap = str | Mapping[str, str] | None


@DATASETS.register_module()
class CombinedDataset(BaseDataset):
    """Joins datasets. The classes, colours and flip pairs are those of the first one.

    Args:
        datasets: Configs of the datasets, without pipelines.
        remaps: For each dataset how its class names become those of the first one:
            ``{"Trousers": "Lower_Clothing"}`` (classes not listed are ignored), the name of a table
            of :mod:`seg.parts.datasets.remaps`, or None if its classes are the same.
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
        roots = [os.path.abspath(dataset.data_root) for dataset in self.datasets]
        super().__init__(data_root=os.path.commonpath(roots), metainfo=dict(target), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Returns the records of all datasets, one after the other, with the dataset's number."""
        records = []
        for number, dataset in enumerate(self.datasets):
            dataset.full_init()
            for i in range(len(dataset)):
                record = {**dataset.get_data_info(i), "dataset": number}
                record.pop("label_map", None)  # get_data_info gives that of the joined dataset
                records.append(record)
        return records

    def get_data_info(self, idx: int) -> dict:
        """Returns a record, with the ``label_map`` of its dataset if that has one."""
        record = super().get_data_info(idx)
        label_map = self.label_maps[record["dataset"]]
        return record if label_map is None else {**record, "label_map": label_map}

    def full_init(self) -> None:
        """Reads the records, once, and deals the epoch's samples out to the datasets.

        Raises:
            DataError: If the data root does not exist or holds no record.
            ConfigError: If ``indices`` leave a dataset that has a weight no record.
        """
        if self._fully_initialized:
            return
        super().full_init()
        if self.weights is None:
            return
        numbers = np.array([self.get_data_info(i)["dataset"] for i in range(len(self))])
        self.members = [np.flatnonzero(numbers == n) for n in range(len(self.datasets))]
        if not all(map(len, self.members)):
            raise ConfigError("CombinedDataset: indices leave a dataset without a record.")
        ends = np.cumsum(self.weights) / np.sum(self.weights) * len(self)
        self.bounds = np.concatenate([[0], np.rint(ends).astype(int)])

    def record_of(self, key: SampleKey) -> int:
        """Returns the record that a sample is made of.

        With weights, dataset d owns the keys ``bounds[d]`` to ``bounds[d + 1]`` of an epoch. Over
        the epochs they go through its records in one shuffled order after another.
        """
        if self.weights is None:
            return key.index
        number = int(np.searchsorted(self.bounds, key.index, side="right")) - 1
        start, end = self.bounds[number : number + 2]
        members = self.members[number]
        drawn_before = key.epoch * (end - start) + key.index - start
        turn, position = divmod(int(drawn_before), len(members))
        return int(members[_permutation(key.seed, number, turn, len(members))[position]])


@lru_cache(maxsize=32)
def _permutation(seed: int, number: int, turn: int, size: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, number, turn, RECORD_STREAM]).permutation(size)


def _build(cfg: dict) -> SegDataset:
    unread = sorted({"pipeline", "on_corrupt"} & set(cfg))
    if unread:
        raise ConfigError(
            f"CombinedDataset: {cfg['type']} has {' and '.join(unread)}, which nothing reads; "
            "give them to CombinedDataset."
        )
    dataset = DATASETS.build({**cfg, "lazy_init": True})
    if "classes" not in dataset.metainfo:
        name = type(dataset).__name__
        raise ConfigError(f"CombinedDataset joins datasets of labels; {name} has no classes.")
    return dataset


def _label_map(
    dataset: SegDataset, remap: Remap, target: Sequence[str]
) -> Mapping[int, int] | None:
    """Returns what the ids in a dataset's files become, if not themselves."""
    own = dataset.file_options.get("label_map")
    source = dataset.metainfo["classes"]
    if remap is None:
        if tuple(source) != tuple(target):
            raise ConfigError(
                f"CombinedDataset: the classes of {type(dataset).__name__} differ from the first "
                "dataset's. Say in remaps which of them become which."
            )
        return own
    table = remap_labels(remap, source, target)
    if own is None:
        return table
    return {raw: table.get(own.get(raw, raw), IGNORE_INDEX) for raw in range(IGNORE_INDEX + 1)}
