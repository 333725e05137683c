import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import ConfigError, DataError
from pose.coco_format import read_keypoints
from pose.geometry import udp_matrix
from pose.metainfo import COCO, COCO_WHOLEBODY, GOLIATH
from pose.metrics import CocoMetric, CocoWholeBodyMetric, GoliathMetric
from pose.metrics.coco_eval import STATS
from pose.metrics.nms import oks, oks_nms, rescore

SIZE_HW = (1024, 768)


def sample(image_id, number, keypoints, scores, bbox_score=1.0, bbox_scale=(300, 400)):
    """What the evaluator hands over of a person."""
    return dict(
        img_id=image_id,
        id=number,
        bbox_score=np.array([bbox_score], np.float32),
        warp_matrix=udp_matrix((100, 100), bbox_scale, SIZE_HW[::-1]),
        size_hw=SIZE_HW,
        pred_instances=dict(
            keypoints=torch.tensor(np.asarray(keypoints)[None]),
            keypoint_scores=torch.tensor(np.asarray(scores)[None]),
        ),
    )


def make(cls, metainfo, ann_file, **kwargs):
    return cls(ann_file=str(ann_file), metainfo=metainfo.as_dict(), **kwargs)


@pytest.fixture
def people_file(root):
    return root / "tests" / "golden" / "coco_people.json"


def evaluate(metric, samples):
    metric.process(None, samples)
    return metric.evaluate(len(samples))


@pytest.mark.parametrize(
    ("name", "cls", "metainfo"),
    [("coco17", CocoMetric, COCO), ("wholebody133", CocoWholeBodyMetric, COCO_WHOLEBODY)],
)
def test_every_figure_equals_the_recorded_one(root, people_file, name, cls, metainfo, tmp_path):
    recorded = json.loads((root / "tests" / "golden" / f"ap_{name}.json").read_text())
    samples = [
        sample(p["image_id"], i, p["keypoints"], p["keypoint_scores"], p["bbox_score"],
               p["bbox_scale"])
        for i, p in enumerate(recorded["predictions"])
    ]  # fmt: skip
    prefix = str(tmp_path / "results" / "a")
    metric = make(cls, metainfo, people_file, **recorded["params"], outfile_prefix=prefix)
    figures = evaluate(metric, samples)
    assert next(iter(figures)) == f"{metric.prefix}/AP", "the first one chooses the best checkpoint"
    for key, value in recorded["metrics"].items():
        assert figures[key] == pytest.approx(value, abs=1e-3)
    parts = recorded["printed_stats_in_cocoeval_order"]
    assert len(figures) == 10 * len(parts)
    for part, values in parts.items():
        part = part.removeprefix("keypoints").removeprefix("_").replace("wholebody", "")
        got = [figures[f"{metric.prefix}/{f'{part} {stat}'.strip()}"] for stat in STATS]
        np.testing.assert_allclose(got, values, atol=1e-3)
    rows = json.loads((tmp_path / "results" / "a.keypoints.json").read_text())
    lengths = {key: len(value) for key, value in rows[0].items() if isinstance(value, list)}
    assert sum(lengths.values()) == 3 * metainfo.num_keypoints
    assert {"image_id", "category_id", "score"} <= rows[0].keys()


def perfect(ann_file, layout, metainfo):
    """Predictions of all people as annotated; what is not labelled is in the middle of the box."""
    content = json.loads(ann_file.read_text())
    samples = []
    for found in content["annotations"]:
        points = read_keypoints(found, layout, metainfo, "")
        if (points[:, 2] > 0).any():
            x, y, w, h = found["bbox"]
            points[points[:, 2] == 0, :2] = x + w / 2, y + h / 2
            scores = np.ones(len(points))
            samples.append(sample(found["image_id"], found["id"], points[:, :2], scores))
    return samples


@pytest.mark.parametrize("name", ["coco", "coco_wholebody", "goliath"])
def test_the_truth_scores_one(people_dirs, name):
    cls, metainfo, stem = {
        "coco": (CocoMetric, COCO, "person_keypoints"),
        "coco_wholebody": (CocoWholeBodyMetric, COCO_WHOLEBODY, "coco_wholebody"),
        "goliath": (GoliathMetric, GOLIATH, "person_keypoints"),
    }[name]
    ann_file = people_dirs[name] / "annotations" / f"{stem}_val.json"
    samples = perfect(ann_file, cls.KEYPOINTS, metainfo)
    metric = make(cls, metainfo, ann_file, nms_mode="none")
    figures = evaluate(metric, samples)
    assert figures[f"{metric.prefix}/AP"] == pytest.approx(1)
    if name != "coco":
        parts = ("body", "foot", "face", "lefthand", "righthand")
        scores = [figures[f"{metric.prefix}/{part} AP"] for part in parts]
        assert scores[0] == pytest.approx(1) and set(np.round(scores, 6)) <= {1.0, -1.0}


def test_order_and_repetition_of_samples_do_not_matter(people_file):
    """As several ranks deliver them."""
    samples = perfect(people_file, CocoMetric.KEYPOINTS, COCO)
    rng = np.random.default_rng(0)
    for one in samples:
        points = one["pred_instances"]["keypoints"]
        points += torch.from_numpy(rng.normal(scale=6, size=points.shape))
        one["bbox_score"] = rng.random(1)
    once = evaluate(make(CocoMetric, COCO, people_file), copy.deepcopy(samples))
    mixed = evaluate(make(CocoMetric, COCO, people_file), [*samples[::-1], *samples[:3]])
    assert once == mixed and 0 < once["coco/AP"] < 1


def test_a_repeated_person_is_dropped_by_nms(people_file):
    people = []
    for i, one in enumerate(perfect(people_file, CocoMetric.KEYPOINTS, COCO)):
        score = 1 - 0.05 * i
        people.append({**one, "bbox_score": np.array([score])})
        people.append({**one, "id": one["id"] + 10**9, "bbox_score": np.array([score - 0.01])})
    figures = evaluate(make(CocoMetric, COCO, people_file), people)
    assert figures["coco/AP"] == pytest.approx(1)
    for options in (dict(nms_mode="none"), dict(nms_thr=1.0)):  # nobody is more than equal
        kept = evaluate(make(CocoMetric, COCO, people_file, **options), people)
        assert kept["coco/AP"] < 0.8


def test_own_data_need_no_area(people_file, tmp_path):
    content = json.loads(people_file.read_text())
    for found in content["annotations"]:
        del found["area"]
    path = tmp_path / "own.json"
    path.write_text(json.dumps(content))
    samples = perfect(path, CocoMetric.KEYPOINTS, COCO)
    with pytest.raises(DataError, match=r"has no area.*use_area=False"):
        evaluate(make(CocoMetric, COCO, path), samples)
    figures = evaluate(make(CocoMetric, COCO, path, use_area=False), samples)
    assert figures["coco/AP"] == pytest.approx(1)


def shifted(samples, pixels):
    for one in samples:
        one["pred_instances"]["keypoints"][..., 0] += pixels
    return samples


def test_without_areas_a_person_is_053_of_their_box(people_file, tmp_path):
    """The same figures as with areas of just that, for predictions that are off."""
    content = json.loads(people_file.read_text())
    for found in content["annotations"]:
        found["area"] = 0.53 * found["bbox"][2] * found["bbox"][3]
    path = tmp_path / "own.json"
    path.write_text(json.dumps(content))
    samples = shifted(perfect(path, CocoMetric.KEYPOINTS, COCO), 5)
    derived = evaluate(make(CocoMetric, COCO, people_file, use_area=False), samples)
    assert derived == evaluate(make(CocoMetric, COCO, path), samples)
    assert derived != evaluate(make(CocoMetric, COCO, people_file), samples)
    assert 0 < derived["coco/AP"] < 1


@pytest.mark.parametrize("is_crowd", [True, False])
def test_people_found_in_a_crowd_are_no_mistake(people_file, tmp_path, is_crowd):
    content = json.loads(people_file.read_text())
    samples = perfect(people_file, CocoMetric.KEYPOINTS, COCO)
    crowd = dict(id=1, image_id=785, category_id=1, bbox=[400, 10, 200, 200], area=4e4, iscrowd=1)
    content["annotations"] += [crowd] if is_crowd else []
    path = tmp_path / "crowd.json"
    path.write_text(json.dumps(content))
    inside = np.random.default_rng(0).uniform((420, 20), (580, 200), (3, 17, 2))
    found = [sample(785, 10**9 + i, inside[i], np.ones(17), bbox_score=2) for i in range(3)]
    figures = evaluate(make(CocoMetric, COCO, path, nms_mode="none"), [*samples, *found])
    assert (figures["coco/AP"] > 1 - 1e-6) == is_crowd


def test_contradictions_are_named(people_file):
    with pytest.raises(DataError, match=r"lacks 1 of the evaluated images, such as image id 7"):
        evaluate(
            make(CocoMetric, COCO, people_file), [sample(7, 1, np.zeros((17, 2)), np.ones(17))]
        )
    with pytest.raises(ConfigError, match="nms_mode is one of"):
        make(CocoMetric, COCO, people_file, nms_mode="soft")
    metric = make(CocoMetric, replace(COCO, sigmas=()), people_file)
    with pytest.raises(ConfigError, match="has no sigmas"):
        evaluate(metric, [])
    metric = make(CocoWholeBodyMetric, COCO, people_file)
    with pytest.raises(ConfigError, match=r"has no group body, foot, .*_hand; use CocoMetric"):
        evaluate(metric, [])


def test_no_prediction_scores_zero(people_file):
    assert evaluate(make(CocoMetric, COCO, people_file), [])["coco/AP"] == 0


@pytest.mark.parametrize(
    ("options", "score"),
    [({}, 0.3), (dict(keypoint_score_thr=0.6), 0.4), (dict(score_mode="bbox"), 0.5)],
)
def test_scores_of_people_follow_the_arguments(people_file, tmp_path, options, score):
    (one, *_) = perfect(people_file, CocoMetric.KEYPOINTS, COCO)
    one["pred_instances"]["keypoint_scores"][0] = torch.tensor([0.4] * 8 + [0.8] * 8 + [0.1])
    one["bbox_score"] = np.array([0.5])
    prefix = tmp_path / "a"
    evaluate(make(CocoMetric, COCO, people_file, outfile_prefix=str(prefix), **options), [one])
    (row,) = json.loads(Path(f"{prefix}.keypoints.json").read_text())
    assert row["score"] == pytest.approx(score)


def test_rescore():
    scores = np.array([[0.1, 0.5, 0.7], [0.1, 0.2, 0.0]])
    np.testing.assert_allclose(rescore([0.5, 1.0], scores, 0.2), [0.3, 0])
    at_it = np.array([[0.25, 0.75]])
    assert rescore([1.0], at_it, 0.25) == 0.75, "a score at the threshold does not count"
    assert rescore([1.0], at_it, np.nextafter(0.25, 0)) == 0.5


def test_oks_and_nms():
    sigmas = np.full(4, 0.05)
    person = np.arange(8.0).reshape(4, 2)
    others = np.stack([person, person + 1, person + 100])
    similar = oks(person, 100, others, np.array([100.0, 300, 100]), sigmas)
    np.testing.assert_allclose(similar, [1, np.exp(-2 / (2 * 0.01 * 200)), 0], atol=1e-9)
    scores, areas = np.array([0.5, 0.9, 0.1]), np.array([100.0, 300, 100])
    assert oks_nms(others, scores, areas, sigmas, threshold=0.5) == [1, 2]
    assert oks_nms(others, scores, areas, sigmas, threshold=0.7) == [1, 0, 2]
    at_it = oks(others[1], areas[1], others[:1], areas[:1], sigmas)[0]
    assert oks_nms(others, scores, areas, sigmas, threshold=at_it) == [1, 0, 2]
    assert oks_nms(others, scores, areas, sigmas, threshold=np.nextafter(at_it, 0)) == [1, 2]
