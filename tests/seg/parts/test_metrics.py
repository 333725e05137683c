from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from engine.data.packing import PackInputs
from engine.errors import DataError
from engine.runner import Runner
from seg.parts.metric import IoUMetric, confusion_matrix
from seg.parts.pictures import ConfusionMatrixHook, draw_confusion


def as_samples(pred, target):
    return [
        dict(pred_sem_seg=dict(data=p[None]), gt_sem_seg=dict(data=t[None]))
        for p, t in zip(pred, target, strict=True)
    ]


def make_metric(num_classes, **kwargs):
    metric = IoUMetric(**kwargs)
    metric.dataset_meta = dict(classes=tuple(f"class {i}" for i in range(num_classes)))
    return metric


def test_equals_the_recorded_metrics(golden):
    recorded = golden("iou")
    metric = make_metric(recorded.meta["num_classes"])
    metric.process({}, as_samples(recorded["in/pred"], recorded["in/gt"]))
    assert metric.evaluate(3) == pytest.approx(recorded.meta["metrics"], abs=0.01)


def test_a_truth_of_another_size_is_an_error():
    """Though it has as many pixels."""
    pred, target = (torch.zeros(1, *size_hw, dtype=torch.uint8) for size_hw in ((2, 6), (4, 3)))
    with pytest.raises(DataError, match=r"prediction is \(2, 6\), the truth \(4, 3\)"):
        make_metric(3).process({}, as_samples(pred, target))


def test_worked_example():
    """Classes 0 and 1 occur, 2 does not and must not count."""
    metric = make_metric(3)
    target = torch.tensor([[0, 0, 1, 1, 255]], dtype=torch.uint8)
    pred = torch.tensor([[0, 1, 1, 1, 2]], dtype=torch.uint8)
    metric.process({}, as_samples(pred[None], target[None]))
    # IoU: 0 -> 1/2, 1 -> 2/3; accuracy: 1/2 and 2/2; 3 of 4 pixels are right.
    assert metric.evaluate(1) == dict(aAcc=75.0, mIoU=58.33, mAcc=75.0)


@pytest.mark.parametrize("ignored", [2, 3, 200])
def test_any_label_may_be_the_ignored_one(ignored):
    """As in the example above; where the ignored label is a class, that one does not occur."""
    metric = make_metric(3, ignore_index=ignored)
    target = torch.tensor([[0, 0, 1, 1, ignored]], dtype=torch.uint8)
    pred = torch.tensor([[0, 1, 1, 1, 0]], dtype=torch.uint8)
    metric.process({}, as_samples(pred[None], target[None]))
    assert metric.evaluate(1) == dict(aAcc=75.0, mIoU=58.33, mAcc=75.0)
    if ignored != 200:
        return
    with pytest.raises(DataError, match=r"label 255, but .*200 = ignored"):
        metric.process({}, as_samples(pred[None], target[None].clamp(min=255)))


def test_a_second_evaluation_starts_afresh():
    metric = make_metric(2)
    labels = torch.tensor([[[0, 1]]])
    metric.process({}, as_samples(labels, labels))
    assert metric.evaluate(1)["mIoU"] == 100
    metric.process({}, as_samples(1 - labels, labels))
    assert metric.evaluate(1)["mIoU"] == 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_confusion_matrix_counts_pairs(dtype):
    rng = np.random.default_rng(0)
    pred, target = rng.integers(0, 19, (2, 40, 50))
    target[:3] = 255
    expected = np.zeros((19, 19), int)
    np.add.at(expected, (target[3:], pred[3:]), 1)
    counts = confusion_matrix(
        torch.from_numpy(pred).to(dtype), torch.from_numpy(target).to(dtype), 19
    )
    assert np.array_equal(counts.numpy(), expected)


def test_a_label_outside_the_classes_is_an_error():
    with pytest.raises(DataError, match=r"label 37, but there are 19 classes"):
        confusion_matrix(torch.tensor([0]), torch.tensor([37]), 19)


def test_the_picture_of_a_matrix_shows_the_shares_of_a_row():
    confusion = np.array([[100, 0, 0], [50, 50, 0], [0, 0, 0]])
    picture = draw_confusion(confusion, ("a", "b", "c"), cell=20)
    cells = picture[-60:, -60:].reshape(3, 20, 3, 20, 3)[:, 3, :, 3].astype(int).sum(-1)
    assert cells[0, 0] < cells[1, 0] == cells[1, 1] < cells[0, 1]
    assert (cells[2] == 765).all() and cells[0, 2] == 765


def test_the_matrix_of_each_validation_becomes_a_picture(face_config):
    cfg = face_config(train_cfg__max_epochs=1, train_cfg__val_interval=1)
    assert cfg.default_hooks.confusion.type == ConfusionMatrixHook.__name__
    runner = Runner.from_cfg(cfg)
    runner.train()
    (path,) = Path(cfg.work_dir).rglob("confusion_matrix_*.png")
    metric = runner.val_loop.evaluator.metrics[0]
    expected = draw_confusion(metric.last_confusion, metric.dataset_meta["classes"])
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], expected)
    assert metric.last_confusion.sum() == 4 * 64 * 64


@pytest.mark.parametrize("prefix", [None, "parts"])
def test_figures_are_known_before_an_evaluation(prefix, make_sample):
    metric = IoUMetric(prefix=prefix)
    metric.dataset_meta = {"classes": ("a", "b")}
    sample = PackInputs()(make_sample())["data_samples"]
    dataset = SimpleNamespace(metainfo={"classes": tuple("abcd")})
    assert metric.prepare(dataset, sample) == list(metric.evaluate(0))
