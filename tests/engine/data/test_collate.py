import pickle
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import FUNCTIONS
from mmengine.structures import InstanceData, PixelData
from torch.utils.data import DataLoader

from engine.data import FIELDS, Field, PackInputs, RandomFlip, Warp, collate_samples
from engine.data.packing import give_targets, stack_targets
from engine.data.sample import DataSample, set_packed
from engine.errors import ConfigError, DataError
from engine.model.base import BaseModel


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


def test_samples_that_are_not_packed_are_an_error(make_sample):
    with pytest.raises(ConfigError, match=r'ends with dict\(type="PackInputs"\)'):
        collate_samples([PackInputs()(make_sample()), make_sample()])


def with_person(make_sample, seed):
    person = dict(
        keypoints=np.full((1, 4, 2), seed, np.float32),
        keypoints_visible=np.ones((1, 4), np.float32),
    )
    return PackInputs()(make_sample(seed=seed, **person))


def test_truth_becomes_one_tensor_a_field_and_can_be_given_back(make_sample):
    batch = [with_person(make_sample, seed) for seed in range(3)]
    labels = [packed["data_samples"].gt_sem_seg.data.clone() for packed in batch]
    collated = collate_samples(batch)
    targets, samples = collated["targets"], collated["data_samples"]
    assert targets["seg_map"].dtype == torch.uint8
    assert torch.equal(targets["seg_map"], torch.stack(labels))
    assert targets["keypoints"].shape == (3, 4, 2) and targets["keypoints_visible"].shape == (3, 4)
    assert not any("gt_sem_seg" in sample or "gt_instances" in sample for sample in samples)
    give_targets(samples, targets)
    assert all(torch.equal(s.gt_sem_seg.data, x) for s, x in zip(samples, labels, strict=True))
    assert samples[2].gt_instances.keypoints.tolist() == [[[2.0, 2.0]] * 4]


def test_truth_of_several_sizes_stays_with_its_samples(make_sample):
    batch = [PackInputs()(make_sample(seed=seed)) for seed in range(2)]
    batch[1]["data_samples"].gt_sem_seg = PixelData(data=torch.zeros(1, 9, 9, dtype=torch.uint8))
    collated = collate_samples(batch)
    assert collated["targets"] == {}
    assert [s.gt_sem_seg.data.shape[1] for s in collated["data_samples"]] == [40, 9]


def test_stacking_leaves_the_samples_alone(make_sample):
    samples = [PackInputs()(make_sample(seed=seed))["data_samples"] for seed in range(2)]
    assert torch.equal(stack_targets(samples)["seg_map"], stack_targets(samples)["seg_map"])


def test_a_worker_sends_one_tensor_a_field(make_sample):
    packed = [PackInputs()(make_sample(seed=seed)) for seed in range(4)]
    (batch,) = DataLoader(packed, batch_size=4, num_workers=1, collate_fn=collate_samples)
    assert batch["targets"]["seg_map"].is_shared()
    assert len(pickle.dumps(batch["data_samples"])) < 4 * 2000, "nothing of the maps is in them"


class Mattes(BaseModel):
    """Learns one number: how much of a sample is opaque."""

    def __init__(self):
        super().__init__()
        self.opacity = torch.nn.Parameter(torch.zeros(1))

    def loss(self, inputs, targets, data_samples=None):
        return {"loss": (self.opacity - targets["matte"].float().mean()).square().sum()}


def test_a_new_field_is_one_row(make_sample, monkeypatch):
    """It is warped, packed, stacked and learnt from without another line."""
    monkeypatch.setitem(FIELDS, "matte", Field("nearest", packed="gt_matte"))
    pipeline = Compose([RandomFlip(prob=1), Warp(), PackInputs()])
    matte = np.zeros((40, 30), np.uint8)
    matte[:, :6] = 1
    batch = collate_samples([pipeline(make_sample(matte=matte.copy())) for _ in range(2)])
    assert batch["targets"]["matte"][0, 0, 0].tolist() == [0] * 24 + [1] * 6
    model = Mattes()
    step = partial(torch.optim.SGD(model.parameters(), lr=0.4).step)
    for _ in range(8):
        model.zero_grad()
        model(**model.data_preprocessor(batch, True), mode="loss")["loss"].backward()
        step()
    assert model.opacity.item() == pytest.approx(0.2, abs=1e-3)


def test_a_target_that_the_batch_lacks_is_named():
    class Model(BaseModel):
        def loss(self, inputs, targets, data_samples=None):
            return {"loss": targets["depth"].sum()}

    with pytest.raises(DataError, match=r'the target "depth", and the batch has seg_map'):
        targets = {"seg_map": torch.zeros(1, 1, 4, 4)}
        Model()(torch.zeros(1, 3, 4, 4), mode="loss", targets=targets)


def test_people_of_no_members_are_completed_and_not_replaced():
    sample = DataSample(gt_instances=InstanceData())
    people = sample.gt_instances
    set_packed(sample, "gt_instances.keypoints", torch.zeros(1, 4, 2))
    assert sample.gt_instances is people
