import pytest
import torch
from mmengine.registry import FUNCTIONS

from engine.data import PackInputs
from engine.errors import DataError


def test_stacks_images_and_lists_samples(make_sample):
    batch = [PackInputs()(make_sample(seed=seed)) for seed in range(3)]
    collated = FUNCTIONS.get("collate_samples")(batch)
    assert collated["inputs"].shape == (3, 3, 40, 30) and collated["inputs"].dtype == torch.uint8
    for i, packed in enumerate(batch):
        assert torch.equal(collated["inputs"][i], packed["inputs"])
        assert collated["data_samples"][i] is packed["data_samples"]


def test_images_of_different_sizes_are_an_error_that_names_them(make_sample):
    batch = [
        PackInputs()(make_sample((40, 30), img_path="a.png")),
        PackInputs()(make_sample((20, 30), img_path="b.png")),
    ]
    with pytest.raises(DataError, match=r"a\.png 40x30, b\.png 20x30.*Resize"):
        FUNCTIONS.get("collate_samples")(batch)
