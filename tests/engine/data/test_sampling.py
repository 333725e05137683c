from unittest.mock import patch

import numpy as np
import pytest
import torch
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import DataLoader

from engine.data import (
    BaseDataset,
    PackInputs,
    RandomFlip,
    RandomRotate,
    SampleKey,
    SeededSampler,
    Warp,
    collate_samples,
)

SIZE = 11


def keys(world_size=1, epoch=0, size=SIZE, **kwargs):
    """The keys of every rank."""
    ranks = []
    for rank in range(world_size):
        with patch("mmengine.dataset.sampler.get_dist_info", return_value=(rank, world_size)):
            sampler = SeededSampler(range(size), **{"seed": 5, **kwargs})
        sampler.set_epoch(epoch)
        dealt = list(sampler)
        assert len(dealt) == len(sampler)
        ranks.append(dealt)
    return ranks


def test_one_rank_gets_a_permutation_with_seed_and_epoch():
    (dealt,) = keys(epoch=3)
    assert sorted(key.index for key in dealt) == list(range(SIZE))
    assert {(key.seed, key.epoch) for key in dealt} == {(5, 3)}
    assert all(type(key.index) is int for key in dealt)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
def test_all_ranks_together_have_the_order_of_one(world_size):
    (order,) = keys()
    ranks = keys(world_size)
    assert len({len(rank) for rank in ranks}) == 1
    dealt = [key for step in zip(*ranks, strict=True) for key in step]
    assert dealt[:SIZE] == order
    assert dealt[SIZE:] == order[: len(dealt) - SIZE], "rounded up by the first ones"
    assert len(dealt) - SIZE < world_size


@pytest.mark.parametrize("world_size", [2, 3, 8, 13])
def test_evaluation_sees_every_sample_once(world_size):
    dealt = [key.index for rank in keys(world_size, shuffle=False) for key in rank]
    assert sorted(dealt) == list(range(SIZE))
    assert [key.index for key in keys(shuffle=False)[0]] == list(range(SIZE))


def test_more_ranks_than_samples():
    ranks = keys(world_size=8, size=3)
    assert [len(rank) for rank in ranks] == [1] * 8


def test_rounding_up_can_be_chosen():
    assert [len(rank) for rank in keys(2, round_up=False)] == [6, 5]
    assert [len(rank) for rank in keys(2, shuffle=False, round_up=True)] == [6, 6]


def test_epoch_and_seed_change_the_order_and_nothing_else_does():
    orders = {
        tuple(key.index for key in keys(epoch=epoch, seed=seed)[0])
        for epoch in range(3)
        for seed in range(3)
    }
    assert len(orders) == 9
    assert keys(epoch=1) == keys(epoch=1)


def test_built_by_the_runner_with_the_runs_seed():
    sampler = DATA_SAMPLERS.build(
        {"type": "SeededSampler", "shuffle": False}, default_args={"dataset": [0, 0], "seed": 7}
    )
    assert list(sampler) == [SampleKey(7, 0, 0), SampleKey(7, 0, 1)]


class Images(BaseDataset):
    """Random images, given as arrays."""

    METAINFO = {"classes": ("a", "b"), "flip_pairs": ()}

    def load_data_list(self):
        return [{"img": np.full((8, 6, 3), i, np.uint8)} for i in range(SIZE)]


@pytest.fixture
def dataset():
    steps = [RandomRotate(prob=0.5, degree=90), RandomFlip(prob=0.5), Warp(), PackInputs()]
    return Images(pipeline=[{"type": "LoadImage"}, *steps])


def test_equal_keys_make_equal_samples(dataset):
    first, again, later = (dataset[SampleKey(1, epoch, 2)] for epoch in (0, 0, 1))
    assert torch.equal(first["inputs"], again["inputs"])
    matrices = [packed["data_samples"].warp_matrix for packed in (first, again, later)]
    np.testing.assert_array_equal(matrices[0], matrices[1])
    draws = {dataset[SampleKey(1, e, 2)]["data_samples"].warp_matrix.tobytes() for e in range(8)}
    assert len(draws) > 2


def test_epochs_of_a_loader_repeat_with_their_number(dataset):
    sampler = SeededSampler(dataset, seed=0)
    loader = DataLoader(dataset, batch_size=4, sampler=sampler, collate_fn=collate_samples)
    epochs = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        epochs.append(torch.cat([batch["inputs"] for batch in loader]))
    assert torch.equal(epochs[0], epochs[2])
    assert not torch.equal(epochs[0], epochs[1])
