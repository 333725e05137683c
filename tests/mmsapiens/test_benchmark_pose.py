import runpy
import sys

import numpy as np
import pytest
import torch

from mmsapiens.benchmarks.pose import decode_one_by_one, encode_one_by_one
from pose.codec import UDPHeatmap

CONFIG = """
default_scope = "pose"
input_size_hw = (64, 48)
model = dict(
    type="TopdownPoseEstimator",
    metainfo="coco",
    backbone=dict(
        type="pretrain.VisionTransformer", arch="tiny", with_cls_token=False, out_type="featmap"
    ),
    head=dict(type="HeatmapHead", decoder=dict(type="UDPHeatmap", sigma=1)),
)
"""


def test_the_loop_draws_the_same_heatmaps():
    codec = UDPHeatmap(input_size=(96, 128), heatmap_size=(24, 32), sigma=2)
    keypoints = torch.rand(2, 30, 2) * torch.tensor([130.0, 160.0]) - 20
    heatmaps, _ = codec.encode(keypoints, torch.ones(2, 30))
    np.testing.assert_allclose(heatmaps, encode_one_by_one(codec, keypoints.numpy()), atol=1e-6)


def test_the_loop_reads_the_same_points():
    codec = UDPHeatmap(input_size=(96, 128), heatmap_size=(24, 32), sigma=2)
    keypoints = torch.rand(2, 30, 2) * torch.tensor([60.0, 90.0]) + 18
    heatmaps, _ = codec.encode(keypoints, torch.ones(2, 30))
    points = decode_one_by_one(heatmaps.numpy()) / [23, 31] * [96, 128]
    np.testing.assert_allclose(codec.decode(heatmaps)[0], points, atol=0.05)


def test_command_line(tmp_path, root, monkeypatch, capsys):
    config = tmp_path / "benchmark.py"
    config.write_text(CONFIG)
    arguments = ["benchmark.py", "pose", str(config), "--batch-size", "2", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(root / "tools" / "benchmark.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "2 x 17 heatmaps of 16x12" in printed and "OpenCV" in printed
