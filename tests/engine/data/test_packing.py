import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose

from engine.data import PackInputs, Resize, Warp, collate_samples
from engine.data.packing import give_targets, stack_targets
from engine.data.sample import DataSample
from engine.errors import ConfigError


def test_packs_planes_labels_and_what_is_known(make_sample):
    sample = make_sample((40, 30), seg_map_path="labels.png")
    packed = Compose([Resize(size_hw=(64, 48)), Warp(), PackInputs()])(sample)
    inputs, data_sample = packed["inputs"], packed["data_samples"]
    assert inputs.dtype == torch.uint8 and inputs.is_contiguous()
    np.testing.assert_array_equal(inputs.permute(1, 2, 0), sample["img"])
    labels = data_sample.gt_sem_seg.data
    assert labels.dtype == torch.uint8
    np.testing.assert_array_equal(labels[0], sample["seg_map"])
    assert set(data_sample.metainfo) == {
        "img_path", "seg_map_path", "ori_size_hw", "size_hw", "warp_matrix", "flip", "sample_idx"
    }  # fmt: skip
    assert (data_sample.ori_size_hw, data_sample.size_hw) == ((40, 30), (64, 48))


def test_packs_people(make_sample):
    fields = dict(
        keypoints=np.ones((1, 3, 2), np.float32),
        keypoints_visible=np.ones((1, 3), np.float32),
        bbox=np.array([[1, 2, 3, 4]], np.float32),
    )
    person = dict(id=7, img_id=3, bbox_score=np.array([0.5], np.float32))
    data_sample = PackInputs()(make_sample(**fields, **person))["data_samples"]
    assert data_sample.gt_instances.keypoints.shape == (1, 3, 2)
    assert data_sample.gt_instances.keypoints_visible.shape == (1, 3)
    assert data_sample.gt_instances.bboxes.tolist() == [[1, 2, 3, 4]]
    assert (data_sample.id, data_sample.img_id) == (7, 3)
    assert "gt_instances" not in PackInputs()(make_sample())["data_samples"]


def test_no_labels_no_ground_truth(make_sample):
    sample = make_sample()
    del sample["seg_map"]
    assert "gt_sem_seg" not in PackInputs()(sample)["data_samples"]


def test_a_packed_sample_survives_the_way_out_of_a_worker(make_sample):
    packed = PackInputs()(make_sample())
    copy = pickle.loads(pickle.dumps(packed))
    assert torch.equal(copy["data_samples"].gt_sem_seg.data, packed["data_samples"].gt_sem_seg.data)


def test_a_forgotten_warp_is_an_error(make_sample):
    with pytest.raises(ConfigError, match='dict\\(type="Warp"\\)'):
        Compose([Resize(size_hw=(64, 48)), PackInputs()])(make_sample())


@pytest.mark.parametrize("size_hw", [(41, 30), (40, 31)])
def test_a_canvas_that_the_image_does_not_fill_is_an_error(make_sample, size_hw):
    with pytest.raises(ConfigError, match='dict\\(type="Warp"\\)'):
        PackInputs()({**make_sample((40, 30)), "size_hw": size_hw})


def test_only_what_all_samples_have_in_one_size_is_stacked(make_sample):
    def samples(*sizes):
        packed = [PackInputs()(make_sample(size))["data_samples"] for size in sizes]
        return packed

    assert stack_targets(samples((4, 3), (4, 3)))["seg_map"].shape == (2, 1, 4, 3)
    assert stack_targets(samples((4, 3), (3, 4))) == {}
    without = DataSample()
    assert stack_targets([*samples((4, 3)), without]) == {} == stack_targets([without])


def test_targets_go_back_to_the_samples_that_they_were_taken_from(make_sample):
    people = [dict(keypoints=np.full((1, 3, 2), i, np.float32)) for i in range(2)]
    packed = [PackInputs()(make_sample((4, 3), i, **people[i])) for i in range(2)]
    maps = [one["data_samples"].gt_sem_seg.data.clone() for one in packed]
    batch = collate_samples(packed)
    assert batch["targets"]["keypoints"].shape == (2, 3, 2)
    assert not any({"gt_sem_seg", "gt_instances"} & set(s.keys()) for s in batch["data_samples"])
    give_targets(batch["data_samples"], batch["targets"])
    for i, sample in enumerate(batch["data_samples"]):
        assert torch.equal(sample.gt_sem_seg.data, maps[i])
        assert sample.gt_instances.keypoints.tolist() == people[i]["keypoints"].tolist()
