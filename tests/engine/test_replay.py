"""Saved batches are read without trust, and what cannot be run of them is said."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData

from engine.checkpoint import read_checkpoint
from engine.data.sample import DataSample
from engine.errors import NonFiniteError, WeightsError
from engine.replay import _from_plain, replay, save_nan_batch
from engine.runner import Runner
from tests.conftest import BARE


class Code:
    """Pickled as a call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def replay_in(runner, path):
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return replay(runner.model, wrapper, str(path))


def test_a_replay_runs_no_code_and_says_what_it_cannot_run(face_config, tmp_path):
    cfg = face_config(model__decode_head__loss_decode__loss_weight=1e300, **BARE)
    with pytest.raises(NonFiniteError):
        Runner.from_cfg(cfg).train()
    runner, path = Runner.from_cfg(cfg), Path(cfg.work_dir, "nan_batch.pth")
    saved = torch.load(path, weights_only=False)
    trap = tmp_path / "executed"
    batch = saved["data_batch"]
    for change, message in (
        ({"data_batch": batch | {"inputs": Code(trap)}}, r"contains posix\.mkdir"),
        ({"data_batch": batch | {"targets": {"seg_map": torch.ones(2, 1)}}}, "not hold a batch"),
        ({"seed": None}, "not hold a batch"),
        ({"state_dict": {}}, "holds no tensors"),
    ):
        torch.save(saved | change, path)
        with pytest.raises(WeightsError, match=message):
            replay_in(runner, path)
    assert not trap.exists()

    weights = saved["state_dict"]
    weights["decode_head.conv_seg.bias"] *= float("nan")
    torch.save(saved, path)
    assert "1 weights are not finite either, such as decode_head.conv_seg.bias" in replay_in(
        runner, path
    )


def test_data_samples_are_saved_as_plain_values_and_come_back(tmp_path):
    people = InstanceData(keypoints=torch.ones(2, 3, 2), labels=np.array([1, 2]))
    sample = DataSample(metainfo={"img_path": "a.png", "matrix": np.eye(2), "size": (4, 5)})
    sample.gt_instances, sample.gt_mask = people, PixelData(data=torch.ones(1, 4, 5))
    batch = {"inputs": torch.ones(1), "data_samples": [sample], "boxes": np.zeros((0, 4))}
    model = torch.nn.Linear(1, 1)
    path = save_nan_batch(tmp_path, model, batch, {"loss": float("nan")}, seed=1, iteration=2)
    read = _from_plain(read_checkpoint(path)["data_batch"])
    (back,) = read["data_samples"]
    assert type(back) is DataSample and type(back.gt_instances) is InstanceData
    assert back.metainfo["img_path"] == "a.png" and back.metainfo["size"] == (4, 5)
    assert np.array_equal(back.metainfo["matrix"], np.eye(2)) and read["boxes"].shape == (0, 4)
    assert torch.equal(back.gt_instances.keypoints, people.keypoints)
    assert back.gt_instances.labels.tolist() == [1, 2] and back.gt_mask.shape == (4, 5)


def test_a_gradient_with_one_bad_number_is_named(face_config):
    cfg = face_config(model__decode_head__loss_decode__loss_weight=1e300, **BARE)
    with pytest.raises(NonFiniteError):
        Runner.from_cfg(cfg).train()
    runner, path = Runner.from_cfg(cfg), Path(cfg.work_dir, "nan_batch.pth")

    def spoil(gradient):
        gradient = torch.zeros_like(gradient)
        gradient.view(-1)[0] = torch.inf
        return gradient

    runner.model.decode_head.conv_seg.weight.register_hook(spoil)
    for name, parameter in runner.model.named_parameters():
        if name != "decode_head.conv_seg.weight":
            parameter.register_hook(torch.zeros_like)
    said = replay_in(runner, path)
    assert "non-finite gradients in 1 parameters, such as decode_head.conv_seg.weight" in said
