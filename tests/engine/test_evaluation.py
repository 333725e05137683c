"""What would end an evaluation ends the training before its first iteration."""

from pathlib import Path

import pytest

from engine.errors import ConfigError, DataError
from engine.runner import Runner
from tests.conftest import BARE


def start(cfg):
    """Trains; the error must come before anything has been learnt."""
    runner = Runner.from_cfg(cfg)
    try:
        runner.train()
    finally:
        assert runner.iter == 0 and not list(Path(cfg.work_dir).glob("*.pth"))


def test_a_best_that_nothing_reports(face_config):
    cfg = face_config()
    cfg.default_hooks.checkpoint.update(save_best="mIuO", rule="greater")
    with pytest.raises(ConfigError, match=r'"mIuO".*Did you mean "mIoU"'):
        start(cfg)


def test_a_pipeline_that_loads_no_labels(face_config):
    cfg = face_config()
    steps = cfg.val_dataloader.dataset.pipeline
    cfg.val_dataloader.dataset.pipeline = [s for s in steps if s.type != "LoadLabels"]
    with pytest.raises(ConfigError, match="IoUMetric needs gt_sem_seg"):
        start(cfg)


def test_labels_of_another_size_than_the_image(face_config):
    cfg = face_config(input_size_hw=(64, 48))
    load, resize, warp, labels, pack = cfg.val_dataloader.dataset.pipeline
    cfg.val_dataloader.dataset.pipeline = [load, labels, resize, warp, pack]
    with pytest.raises(DataError, match="LoadLabels comes after Warp"):
        start(cfg)


def test_links_to_files_that_are_gone(face_config, faces_dir, tmp_path):
    for path in faces_dir.iterdir():
        (tmp_path / path.name).symlink_to(path)
    for name in ("gone.png", "gone_seg.png"):
        (tmp_path / name).symlink_to("nowhere")
    cfg = face_config(train_dataloader__dataset__data_root=str(tmp_path))
    cfg.train_dataloader.dataset.split = "all"
    with pytest.raises(DataError, match=r"2 of 34 files do not exist, such as .*gone\.png"):
        start(cfg)


def test_labels_that_are_no_class(face_config):
    cfg = face_config()
    cfg.val_dataloader.dataset.label_map = {0: 77}
    with pytest.raises(DataError, match=r"label 0 in .*, but the dataset has 19 classes"):
        start(cfg)


def test_a_metric_of_mmengine_beside_ours(face_config, tmp_path):
    """It says nothing of what it needs, so that nothing can be checked before."""
    cfg = face_config(train_cfg__max_epochs=1, train_cfg__val_interval=1, **BARE)
    dump = dict(type="DumpResults", out_file_path=str(tmp_path / "all.pkl"))
    cfg.val_evaluator = [cfg.val_evaluator, dump]
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.message_hub.get_scalar("val/mIoU").current() > 0
    assert (tmp_path / "all.pkl").is_file()
