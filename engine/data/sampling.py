"""The order of samples, and the keys that fix their randomness."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import NamedTuple

import numpy as np
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS

# The last number of a seed sets the generators of a run apart; those of the samples have none.
SHUFFLE_STREAM = 1  # the order of an epoch
RECORD_STREAM = 2  # which record of a joined dataset
REDRAW_STREAM = 3  # what takes the place of a rejected sample
MASK_STREAM = 4  # which patches are removed


class SampleKey(NamedTuple):
    """Which sample, and which draw of its random transforms: together they seed its generator."""

    seed: int
    epoch: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which no one needs here


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """Deals the samples of a dataset out to the ranks, as keys that also fix their randomness.

    The order is one permutation for all ranks, drawn from (seed, epoch); rank r of n takes every
    n-th key from the r-th on. A global batch thus holds the same samples on 1 or 8 ranks, and what
    is drawn for a sample depends on neither ranks nor workers.

    Args:
        dataset: What to sample from; only its length is used.
        shuffle: Permute, anew each epoch; else keep the dataset's order.
        seed: Of the run, equal on all ranks; None draws one and shares it. MMEngine passes the
            run's seed.
        round_up: Give each rank equally many keys, by repeating the first ones of the order, as
            training with DDP needs. Default: when shuffling. Evaluation leaves it off, so that no
            sample counts twice.
    """

    def __init__(
        self,
        dataset: Sized,
        *,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool | None = None,
    ) -> None:
        super().__init__(dataset, shuffle, seed, shuffle if round_up is None else round_up)
        self._skipped = 0

    def __iter__(self) -> Iterator[SampleKey]:
        size = len(self.dataset)
        start, self._skipped = self._skipped, 0
        order = np.arange(size)
        if self.shuffle:
            seed = [self.seed, self.epoch, 0, SHUFFLE_STREAM]
            order = np.random.default_rng(seed).permutation(size)
        order = np.resize(order, self.total_size)  # repeats from the start
        for index in order[self.rank :: self.world_size][start:]:
            yield SampleKey(self.seed, self.epoch, int(index))

    def skip(self, num: int) -> None:
        """Leaves out the first ``num`` keys of this rank in the next iteration only."""
        self._skipped = num
