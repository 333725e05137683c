import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose

from engine.data import PackInputs, Resize, Warp
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
