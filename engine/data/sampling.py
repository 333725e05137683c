"""The order of samples, and the keys that fix their randomness."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import NamedTuple

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

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
class SeededSampler(Sampler[SampleKey]):
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
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.round_up = shuffle if round_up is None else round_up
        self.epoch = 0
        self._skipped = 0
        self.rank, self.world_size = get_dist_info()

    def __iter__(self) -> Iterator[SampleKey]:
        start, self._skipped = self._skipped, 0
        for index in self._order()[self.rank :: self.world_size][start:]:
            yield SampleKey(self.seed, self.epoch, int(index))

    def __len__(self) -> int:
        return len(range(self.rank, self._total(), self.world_size))

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch that the next iteration draws the order and the keys from."""
        self.epoch = epoch

    def skip(self, num: int) -> None:
        """Leaves out the first ``num`` keys of this rank in the next iteration only."""
        self._skipped = num

    def _total(self) -> int:
        size = len(self.dataset)
        return -(-size // self.world_size) * self.world_size if self.round_up else size

    def _order(self) -> np.ndarray:
        size = len(self.dataset)
        if self.shuffle:
            generator = np.random.default_rng([self.seed, self.epoch, 0, SHUFFLE_STREAM])
            order = generator.permutation(size)
        else:
            order = np.arange(size)
        return np.resize(order, self._total())  # repeats from the start
