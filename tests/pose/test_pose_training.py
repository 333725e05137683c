"""From pictures on disk to figures, through the runner."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engine.config import load_config
from engine.runner import Runner
from pose.datasets import CocoDataset
from pose.registry import VISUALIZERS
from tests.conftest import TINIEST_ARCH

PREFIX = {"coco": "coco", "coco_wholebody": "coco-wholebody", "goliath": "goliath"}


def read_scalars(cfg):
    (scalars,) = Path(cfg.work_dir).glob("*/vis_data/scalars.json")
    return [json.loads(line) for line in scalars.read_text().splitlines()]


def test_a_training_lowers_the_loss(pose_config):
    cfg = pose_config(
        "coco",
        custom_hooks=[],
        train_cfg__max_epochs=8,
        train_cfg__val_interval=8,
        default_hooks__checkpoint__interval=8,
        optim_wrapper__optimizer__lr=5e-3,
    )
    Runner.from_cfg(cfg).train()
    losses = [row["loss_kpt"] for row in read_scalars(cfg) if "loss_kpt" in row]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.parametrize("name", PREFIX)
def test_trains_and_evaluates(pose_config, name):
    cfg = pose_config(
        name,
        custom_hooks__0__train_interval=1,
        custom_hooks__0__num_samples=1,
        train_cfg__max_epochs=1,
        train_cfg__val_interval=1,
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    work_dir = Path(cfg.work_dir)
    rows = read_scalars(cfg)
    (figures,) = [row for row in rows if f"{PREFIX[name]}/AP" in row]
    assert len([key for key in figures if key.startswith(PREFIX[name])]) == (
        10 if name == "coco" else 60
    )
    assert (work_dir / f"best_{PREFIX[name]}_AP_epoch_1.pth").is_file()
    meta = torch.load(work_dir / "epoch_1.pth", weights_only=False)["meta"]
    assert meta["patch_padding"] == 2 and meta["dataset_meta"]["name"] == name
    assert list(work_dir.glob("*/vis_data/vis_image/train_0_1.png"))
    assert list(work_dir.glob("*/vis_data/vis_image/val_*.png"))
    (log,) = work_dir.glob("*/*.log")
    assert "samples were redrawn for want of keypoints" in log.read_text()


def test_a_picture_shows_truth_and_prediction_in_the_same_place(pose_config):
    """Of the original image as of the crop, where the truth is kept."""
    cfg = pose_config("coco")
    dataset = CocoDataset(**{k: v for k, v in cfg.val_dataloader.dataset.items() if k != "type"})
    sample = dataset[0]["data_samples"]
    visualizer = VISUALIZERS.build({**cfg.visualizer, "name": "place", "vis_backends": []})
    record = dataset.get_data_info(0)
    sample.pred_instances = sample.gt_instances.clone()
    sample.pred_instances.keypoints = torch.from_numpy(record["keypoints"])
    sample.pred_instances.keypoint_scores = sample.gt_instances.keypoints_visible
    height, width = sample.ori_size_hw
    black = torch.zeros(height, width, 3, dtype=torch.uint8).numpy()
    picture = visualizer.draw(black, sample)
    truth, predicted = picture[:, :width], picture[:, width:]
    assert truth.any() and abs(truth.astype(int) - predicted).mean() < 1


def test_own_keypoints_by_config_alone(root, tmp_path, monkeypatch):
    """The template of docs/pose.md, on four keypoints of two images."""
    folder = tmp_path / "hand_tools"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    annotations = []
    for i in (1, 2):
        cv2.imwrite(str(folder / f"images/{i}.jpg"), rng.integers(0, 256, (80, 60, 3), np.uint8))
        points = np.column_stack([rng.uniform(12, 48, (4, 2)), np.full(4, 2)]).ravel().tolist()
        box = {"bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0, "num_keypoints": 4}
        annotations.append({"id": i, "image_id": i, "category_id": 1, "keypoints": points, **box})
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 80, "width": 60} for i in (1, 2)]
    for name in ("train", "val"):
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1}]}
        (folder / f"{name}.json").write_text(json.dumps(content))
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    small = {"input_size_hw": (64, 48), "train_cfg.max_epochs": 1, "custom_hooks": []}
    loaders = {f"{split}_dataloader.num_workers": 0 for split in ("train", "val", "test")}
    loaders |= {f"{split}_dataloader.persistent_workers": False for split in ("train", "val")}
    path = root / "configs/pose/own/sapiens_tiny_hand_tools-256x192.py"
    cfg = load_config(path, {**small, **loaders, "train_dataloader.batch_size": 2})
    assert cfg.model.metainfo.keypoints[0] == "hammer_head"
    cfg.model.backbone.arch = TINIEST_ARCH
    cfg.work_dir, cfg.launcher, cfg.experiment_name = str(tmp_path / "run"), "none", str(tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.model.head.out_channels == 4
    assert list((tmp_path / "run").glob("best_coco_AP_epoch_1.pth"))
