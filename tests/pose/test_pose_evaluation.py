"""What would end an evaluation of people ends the training before its first iteration."""

import json
import shutil

import pytest

from engine.errors import ConfigError, DataError
from engine.runner import Runner


def start(cfg):
    """Trains; the error must come before anything has been learnt."""
    runner = Runner.from_cfg(cfg)
    try:
        runner.train()
    finally:
        assert runner.iter == 0


def people(pose_config, people_dirs, tmp_path, **options):
    """A copy of the people, and a config of it."""
    root = tmp_path / "people"
    shutil.copytree(people_dirs["coco"], root)
    cfg = pose_config("coco", **options)
    for split in ("train", "val", "test"):
        cfg[f"{split}_dataloader"].dataset.data_root = str(root)
    truth = root / "annotations/person_keypoints_val.json"
    cfg.val_evaluator.ann_file = cfg.test_evaluator.ann_file = str(truth)
    return cfg, root, truth


def test_an_annotation_without_area(pose_config, people_dirs, tmp_path):
    cfg, _, truth = people(pose_config, people_dirs, tmp_path)
    content = json.loads(truth.read_text())
    for annotation in content["annotations"]:
        del annotation["area"]
    truth.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"has no area\. Set use_area=False"):
        start(cfg)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_image(pose_config, people_dirs, tmp_path, split):
    cfg, root, _ = people(pose_config, people_dirs, tmp_path)
    images = sorted(root.rglob("*.[jp][pn]g"))
    image = next(path for path in images if split in str(path.relative_to(root)))
    image.unlink()
    with pytest.raises(DataError, match=rf"1 of \d files do not exist, such as \S*{image.name}"):
        start(cfg)


def test_truth_of_other_images(pose_config, people_dirs, tmp_path):
    cfg, _, truth = people(pose_config, people_dirs, tmp_path)
    content = json.loads(truth.read_text())
    other = truth.with_name("other.json")
    for image in content["images"]:
        image["id"] += 1000
    for annotation in content["annotations"]:
        annotation["image_id"] += 1000
    other.write_text(json.dumps(content))
    cfg.val_evaluator.ann_file = str(other)
    with pytest.raises(DataError, match=r"other\.json lacks 1 of the evaluated images"):
        start(cfg)


def test_keypoints_of_another_set(pose_config):
    cfg = pose_config("coco")
    cfg.val_evaluator = dict(
        type="CocoMetric", ann_file=cfg.val_evaluator.ann_file, metainfo="coco_wholebody"
    )
    with pytest.raises(ConfigError, match="has 17 keypoints, others than the 133 of"):
        start(cfg)


@pytest.mark.parametrize("name", ["coco", "goliath"])
def test_the_figures_that_will_be_reported_are_known_before(pose_config, name):
    cfg = pose_config(name)
    runner = Runner.from_cfg(cfg)
    loop = runner.build_val_loop(runner._val_loop)
    metric, dataset = loop.evaluator.metrics[0], loop.dataloader.dataset
    assert metric.prepare(dataset, dataset[0]["data_samples"]) == list(metric.evaluate(0))


def test_another_category_than_the_datasets(pose_config, people_dirs, tmp_path):
    cfg, _, truth = people(pose_config, people_dirs, tmp_path)
    content = json.loads(truth.read_text())
    content["categories"].append({**content["categories"][0], "id": 2, "name": "dog"})
    content["annotations"][-1]["category_id"] = 2
    truth.write_text(json.dumps(content))
    cfg.val_dataloader.dataset.category, cfg.val_evaluator.category = "person", 2
    with pytest.raises(ConfigError, match="category 2, but those of the dataset of 1"):
        start(cfg)
