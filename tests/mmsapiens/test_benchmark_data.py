import itertools
import runpy
import sys

import cv2
import numpy as np
import pytest

from engine.data import LoadImage, RandomCrop, RandomRotate, Resize, Warp
from engine.data.mirror import pairs_of
from mmsapiens.benchmarks import data
from mmsapiens.benchmarks.data import measure
from mmsapiens.benchmarks.eager import eager_pipeline
from seg.parts.datasets import SegFolderDataset

PIPELINE = [
    {"type": "LoadImage"},
    {"type": "LoadLabels"},
    {"type": "RandomResize", "ratio_range": (0.2, 2.0), "size_hw": (64, 48)},
    {"type": "RandomCrop", "cat_max_ratio": 0.75, "size_hw": (64, 48)},
    {"type": "Resize", "size_hw": (64, 48)},
    {"type": "RandomRotate", "prob": 0.5, "degree": 45},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "Warp"},
    {"type": "PhotoMetricDistortion"},
    {"type": "PackInputs"},
]


@pytest.fixture
def data_root(tmp_path):
    """Three 32x32 images with labels of three classes."""
    rng = np.random.default_rng(0)
    for folder, shape in (("images", (32, 32, 3)), ("labels", (32, 32))):
        (tmp_path / folder).mkdir()
        for i in range(3):
            values = rng.integers(0, 3, shape, dtype=np.uint8)
            cv2.imwrite(str(tmp_path / folder / f"{i}.png"), values)
    return tmp_path


def settings(data_root):
    return {
        "data_root": str(data_root),
        "img_dir": "images",
        "seg_dir": "labels",
        "classes": ("Background", "Left_eye", "Right_eye"),
        "flip_pairs": [("Left_eye", "Right_eye")],
        "pipeline": PIPELINE,
    }


def test_both_pipelines_make_samples_of_one_size(data_root):
    dataset = SegFolderDataset(**settings(data_root))
    eager = eager_pipeline(dataset.pipeline.transforms, pairs_of(dataset.metainfo, "classes"))
    np.random.seed(0)
    for i in range(12):
        lazy_sample, eager_sample = dataset[i % 3], eager(dataset.get_data_info(i % 3))
        assert lazy_sample["inputs"].shape == eager_sample["inputs"].shape == (3, 64, 48)
        assert eager_sample["gt_sem_seg"].shape == (1, 64, 48)
        assert set(eager_sample["gt_sem_seg"].unique().tolist()) <= {0, 1, 2, 255}


def test_measures_every_stage_and_restores_the_pipeline(data_root):
    dataset = SegFolderDataset(**settings(data_root))
    transforms = dataset.pipeline.transforms
    timing = measure(dataset, num=4, rounds=2)
    assert timing.num_samples == 8
    assert timing.ratio == timing.eager / timing.lazy > 0
    assert list(timing.stages) == [step["type"] for step in PIPELINE]
    assert sum(timing.stages.values()) < 20 * timing.lazy
    assert dataset.pipeline.transforms is transforms


def test_figures_are_of_one_image(data_root, monkeypatch):
    clock = itertools.count()  # a second goes by from one look at it to the next
    monkeypatch.setattr(data.time, "perf_counter", lambda: next(clock))
    timing = measure(SegFolderDataset(**settings(data_root)), num=4, rounds=3)
    assert timing.lazy == timing.eager == 1 / 4
    assert set(timing.stages.values()) == {1.0}


def eager_steps(*transforms):
    return eager_pipeline(transforms, ())


def picture_of(labels):
    labels = np.array(labels, np.uint8)
    return {"img": np.repeat(labels[..., None], 3, axis=2), "gt_seg_map": labels}


def test_the_eager_resize_keeps_proportions_if_ours_does():
    shape = {}
    for keep_ratio in (False, True):
        (resize,) = eager_steps(Resize(size_hw=(8, 16), keep_ratio=keep_ratio)).transforms
        shape[keep_ratio] = resize({"img": np.zeros((4, 4, 3), np.uint8)})["img"].shape
    assert shape == {False: (8, 16, 3), True: (8, 8, 3)}


def test_the_eager_crop_draws_until_labels_are_mixed():
    crop, loose = (
        eager_steps(RandomCrop(size_hw=(4, 4), cat_max_ratio=ratio)) for ratio in (0.9, 1.0)
    )
    mixed = picture_of(np.arange(64).reshape(8, 8))
    for seed in range(4):  # the first is good
        found = []
        for step in (crop, loose):
            np.random.seed(seed)
            found.append(step(dict(mixed))["gt_seg_map"])
        assert (found[0] == found[1]).all() and found[0].shape == (4, 4)
    corner = np.zeros((8, 8), np.uint8)
    corner[:2, :2], corner[-2:, -2:] = [[1, 2], [3, 255]], 255
    hits = 0
    for seed in range(10):
        np.random.seed(seed)
        found = crop(picture_of(corner))
        hits += (found["gt_seg_map"] == 1).any()
        assert (found["img"][..., 0] == found["gt_seg_map"]).all()
        assert found["img_shape"] == (4, 4)
    assert hits > 2, "a window that shows the corner is one of 25"


def test_the_eager_rotation_turns_image_and_labels():
    turn = eager_steps(RandomRotate(prob=1.0, degree=(90, 90)))
    image = picture_of([[1, 2, 3]] * 3)
    np.random.seed(0)
    found = turn(dict(image))
    assert (found["gt_seg_map"] == np.rot90(image["gt_seg_map"], -1)).all()
    assert (found["img"][..., 0] == found["gt_seg_map"]).all()
    found = eager_steps(RandomRotate(prob=1.0, degree=(45, 45)))(picture_of(np.ones((9, 9))))
    assert found["gt_seg_map"][0, 0] == 255 and found["img"][0, 0, 0] == 0


def test_a_pipeline_without_counterpart_is_measured_alone(data_root):
    dataset = SegFolderDataset(**settings(data_root))
    dataset.pipeline.transforms.insert(1, _Nothing())
    timing = measure(dataset, num=2, rounds=1)
    assert timing.eager is None and timing.ratio is None and "_Nothing" in timing.stages
    assert timing.sent_bytes > 64 * 48 * 4, "three channels and a label"


class _Nothing:
    def __call__(self, sample):
        return sample


def test_a_step_without_counterpart_leaves_no_eager_pipeline():
    class RandomWeather:
        pass

    steps = [LoadImage(), Resize(size_hw=(4, 4)), Warp()]
    assert len(eager_pipeline(steps, ()).transforms) == 2
    assert eager_pipeline([*steps, RandomWeather()], ()) is None


def test_command_line(data_root, root, tmp_path, monkeypatch, capsys):
    config = tmp_path / "benchmark.py"
    dataset = dict(type="SegFolderDataset", **settings(data_root))
    config.write_text(
        f"default_scope = 'seg'\ntrain_dataloader = dict(batch_size=1, dataset={dataset!r})\n"
    )
    monkeypatch.setattr(
        sys, "argv", ["benchmark.py", "data", str(config), "--num", "2", "--rounds", "1"]
    )
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(root / "tools" / "benchmark.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "images/s" in printed and "PhotoMetricDistortion" in printed
