"""Predictions that are the truth have an AP of 1, whatever the file is like, or it is refused."""

import gc
import json
import re

import numpy as np
import pytest
from pycocotools.coco import COCO as CocoApi
from pycocotools.cocoeval import COCOeval

from engine.data.sample import DataSample
from engine.errors import ConfigError, DataError, NonFiniteError
from pose.coco_format import id_order, read_number
from pose.datasets import CocoDataset, CocoWholeBodyDataset
from pose.metainfo import COCO
from pose.metrics import CocoMetric
from tests.pose.oracle import make_content, oracle_ap, predict_truth, write


@pytest.fixture(scope="module", autouse=True)
def quick_garbage():
    """MMEngine collects garbage at every dataset: spare it what is there already."""
    gc.freeze()
    yield
    gc.unfreeze()


def each(key, **values):
    """Changes all entries of a list; a value may be made from the entry's number and itself."""

    def change(content):
        for number, entry in enumerate(content[key]):
            for name, value in values.items():
                entry[name] = value(number, entry) if callable(value) else value

    return change


def without(key, *names):
    def change(content):
        for entry in content[key]:
            for name in names:
                del entry[name]

    return change


def first(**values):
    return lambda content: content["annotations"][0].update(values)


def renumber_images(of):
    def change(content):
        each("images", id=lambda _, image: of(image["id"]))(content)
        each("annotations", image_id=lambda _, found: of(found["image_id"]))(content)

    return change


def category_seven(content):
    each("annotations", category_id=7)(content)
    content["categories"][0]["id"] = 7


def dogs_without_keypoints(content):
    content["categories"].append(dict(id=18, name="dog"))
    content["annotations"].append(
        dict(id=99, image_id=1, category_id=18, bbox=[1, 1, 50, 50], area=900, iscrowd=0)
    )


def dogs_with_keypoints(content):
    content["categories"].append({**content["categories"][0], "id": 18, "name": "dog"})
    for found in content["annotations"][::2]:
        found["category_id"] = 18


def crowds(content):
    rle = dict(counts=[10, 20, 30], size=[480, 640])
    content["annotations"] += [
        dict(id=90, image_id=1, category_id=1, bbox=[0, 0, 640, 480], area=9e4, iscrowd=1,
             num_keypoints=0, keypoints=[0] * 51, segmentation=rle),
        dict(id=91, image_id=2, category_id=1, bbox=[0, 0, 640, 480], area=9e4, iscrowd=True,
             segmentation=rle),
    ]  # fmt: skip


def empty_images(content):
    content["images"] += [dict(id=50 + i, file_name=f"{i}.jpg", width=9, height=9) for i in (0, 1)]


def shuffled_names(content):
    order = np.random.default_rng(1).permutation(17)
    names = [COCO.keypoints[i].replace("_", " ").title() for i in order]
    content["categories"][0]["keypoints"] = names
    for found in content["annotations"]:
        points = np.reshape(found["keypoints"], (17, 3))
        found["keypoints"] = points[order].ravel().tolist()


def half_occluded(content):
    for found in content["annotations"]:
        found["keypoints"][2::6] = [min(v, 1) for v in found["keypoints"][2::6]]


ONE = {
    "as it is": lambda content: None,
    "num_keypoints 0 with points": first(num_keypoints=0),
    "equal annotation ids": each("annotations", id=5),
    "equal annotation ids in each image": each("annotations", id=lambda i, _: i % 3),
    "people with all keypoints at 0, 0": first(keypoints=[0, 0, 2] * 17),
    "people with all keypoints invisible": first(keypoints=[30, 40, 0] * 17),
    "category id 7": category_seven,
    "category id 7 without categories": lambda c: (category_seven(c), c.pop("categories")),
    "a category without keypoints": dogs_without_keypoints,
    "crowds, with and without keypoints": crowds,
    "no iscrowd": without("annotations", "iscrowd"),
    "no num_keypoints": without("annotations", "num_keypoints"),
    "no category_id": without("annotations", "category_id"),
    "float ids": renumber_images(float),
    "string ids": renumber_images(lambda i: f"img-{i}"),
    "string ids of annotations": each("annotations", id=lambda i, _: f"a{i}"),
    "ids of annotations of two kinds": each("annotations", id=lambda i, _: i if i % 2 else str(i)),
    "ids that start at 0": renumber_images(lambda i: i - 1),
    "large ids": renumber_images(lambda i: i + 2**60),
    "images without people": empty_images,
    "no info, licenses or categories": lambda c: (c.pop("info"), c.pop("categories")),
    "occluded keypoints": half_occluded,
    "boxes beyond the image": each("annotations", bbox=lambda _, a: [-50, -50, 900, 800]),
    "file names with folders": each("images", file_name=lambda i, _: f"cam {i}/ä/{i}.jpg"),
    "sizes that are floats": each("images", width=640.0, height=480.0),
    "keypoints in one list each": each(
        "annotations", keypoints=lambda _, a: np.reshape(a["keypoints"], (17, 3)).tolist()
    ),
    "keypoints in another order, named": shuffled_names,
    "one image twice": lambda c: c["images"].append(dict(c["images"][0])),
}


@pytest.mark.parametrize("quirk", ONE)
def test_the_oracle_scores_one(quirk, tmp_path):
    content = make_content()
    ONE[quirk](content)
    assert oracle_ap(write(content, tmp_path)) == pytest.approx(1)


def names(*changed):
    def change(content):
        for place, name in changed:
            content["categories"][0]["keypoints"][place] = name

    return change


REFUSED = {
    "several categories": (dogs_with_keypoints, r"'person' \(id 1\), 'dog' \(id 18\).*category="),
    "no area": (without("annotations", "area"), r"has no area.*use_area=False"),
    "area 0": (first(area=0), r"area must be a number of at least 1 .*, found 0.*use_area=False"),
    "a huge area": (first(area=1e11), "area must be a number of at least 1 and at most 1e"),
    "a category that is not listed": (
        each("annotations", category_id=0), "are of the category 0, but its categories are 1",
    ),
    "a category of another type": (
        lambda content: content["categories"][0].update(id="1"), "category 1, but .* are '1'",
    ),
    "no width": (without("images", "width"), "has no width"),
    "a width in words": (each("images", width="640"), "width of image 1 must be a number"),
    "NaN": (first(keypoints=[float("nan")] * 51), "keypoint 'nose' is not finite"),
    "another name": (names((3, "Left Ear"), (4, "tail")), "keypoint 4 is 'tail'.*'right_ear'"),
    "another number of names": (
        lambda c: c["categories"][0]["keypoints"].append("tail"),
        r"keypoint 17 is 'tail', but .*'coco' is missing \(18 and 17 names\)",
    ),
    "two images of one id": (
        lambda c: c["images"].append(dict(c["images"][0], file_name="b.jpg")),
        "000000000001.jpg and b.jpg have the same id, 1",
    ),
    "ids of another type": (each("annotations", image_id=lambda _, a: str(a["image_id"])),
                            "image ids, such as '1', are not among"),
    "a flag in words": (first(iscrowd="no"), "iscrowd must be a number, found 'no'"),
    "true as id": (each("images", id=True), "id of an image must be a whole number.*found True"),
    "half an id": (each("images", id=1.5), r"id of an image must be a whole number.*found 1\.5"),
    "true as width": (each("images", width=True), "width of image 1 must be a number.*found True"),
    "a width below a pixel": (
        each("images", width=0.5), r"width of image 1 must be a number of at least 1, found 0\.5",
    ),
    "no name of an image": (each("images", file_name=""), "image 1 has no name: ''"),
    "a number as name": (each("images", file_name=7), "image 1 has no name: 7"),
    "categories of another kind": (
        lambda c: c.update(categories={"id": 1}), "categories must be a list of objects",
    ),
    "a category of another kind": (
        lambda c: c.update(categories=["person"]), "categories must be a list of objects",
    ),
    "two categories of one id": (
        lambda c: c["categories"].append(dict(id=1, name="dog")), "two categories have the id 1",
    ),
    "one text of all names": (
        lambda c: c["categories"][0].update(keypoints="nose, eye"),
        "keypoints of a category is a list of names, found 'nose, eye'",
    ),
    "a keypoint that is no pixel": (
        first(keypoints=[1, 2, 2] * 16 + [1, -1.1e6, 2]), "'right_ankle' is at x, y = .*no pixels",
    ),
    "a box that is no pixels": (
        first(bbox=[0, 0, 1.1e6, 5]), "box of 1 must be 4 numbers, x, y, w, h in pixels",
    ),
    "an annotation that is a list": (
        lambda c: c["annotations"].append([1]), "annotation number 9 of the file has no id, image_",
    ),
    "annotations of another kind": (
        lambda c: c.update(annotations={}), "expected COCO's JSON.*found an object with info",
    ),
    "a file without anything": (lambda c: c.clear(), "found an object with nothing"),
    "keypoints in pairs": (
        first(keypoints=[[1, 2]] * 17), "must be lists of numbers|has .* keypoints",
    ),
    "a list as id": (each("images", id=[1]), r"id of an image must be.*found \[1\]"),
}  # fmt: skip


@pytest.mark.parametrize("quirk", REFUSED)
def test_what_cannot_be_understood_is_refused(quirk, tmp_path):
    content = make_content()
    change, message = REFUSED[quirk]
    change(content)
    with pytest.raises(DataError, match=rf"(?s)people.json.*{message}"):
        oracle_ap(write(content, tmp_path))


@pytest.mark.parametrize("category", ["person", "dog", 18])
def test_a_category_is_chosen_by_name_or_id(category, tmp_path):
    content = make_content()
    dogs_with_keypoints(content)
    path = write(content, tmp_path)
    num_dogs = len(content["annotations"][::2])
    expected = len(content["annotations"]) - num_dogs if category == "person" else num_dogs
    assert len(CocoDataset(str(path), category=category)) == expected
    assert oracle_ap(path, category=category) == pytest.approx(1)
    with pytest.raises(DataError, match=r"category='cat' is not one of 'person' \(id 1\), 'dog'"):
        CocoDataset(str(path), category="cat")


def test_people_without_a_box_are_not_missed(tmp_path):
    content = make_content()
    content["annotations"][0]["bbox"] = [700, 10, 20, 20]
    path = str(write(content, tmp_path))
    dataset = CocoDataset(path, drop_bad_boxes=True)
    metric = CocoMetric(path, nms_mode="none")
    metric.process(None, predict_truth(dataset))
    assert len(dataset) == 8 and metric.evaluate(8)["coco/AP"] == pytest.approx(1)


def test_num_keypoints_that_hides_people_is_told(tmp_path, capsys):
    content = make_content()
    first(num_keypoints=0)(content)
    crowd = dict(content["annotations"][1], id=90, iscrowd=1, num_keypoints=0)
    content["annotations"].append(crowd)  # no person is left out with it
    dataset = CocoDataset(str(write(content, tmp_path)))
    told = capsys.readouterr()
    assert len(dataset) == 8
    assert "1 annotations, such as 1, say num_keypoints 0" in told.out + told.err


def prepare(path, capsys, **kwargs):
    """Returns what the start of an evaluation says of dataset and metric."""
    dataset = CocoDataset(str(path), **kwargs)
    sample = predict_truth(dataset)[0]
    del sample["pred_instances"]
    capsys.readouterr()
    CocoMetric(str(path)).prepare(dataset, DataSample(metainfo=sample))
    return "".join(capsys.readouterr())


def test_people_whom_only_the_metric_has_are_told(tmp_path, capsys):
    path = write(make_content(), tmp_path)
    assert "people" not in prepare(path, capsys)
    assert "9 people count, but the dataset has 4: the others are missed" in prepare(
        path, capsys, indices=4
    )


@pytest.mark.parametrize("num_people", [20, 21])
def test_more_people_in_an_image_than_coco_counts_are_told(tmp_path, capsys, num_people):
    path = write(make_content(num_images=2, num_people=num_people), tmp_path)
    assert (oracle_ap(path) == pytest.approx(1)) == (num_people == 20)
    told = "up to 21 people are in one image. By COCO's rules only the 20 predictions"
    assert (told in prepare(path, capsys)) == (num_people == 21)


@pytest.mark.parametrize("change", [category_seven, shuffled_names])
def test_results_go_with_the_annotations(change, tmp_path):
    """As COCO's own tools evaluate them: of the same category, keypoints in the same order."""
    content = make_content()
    change(content)
    path = write(content, tmp_path)
    metric = CocoMetric(str(path), nms_mode="none", outfile_prefix=str(tmp_path / "out"))
    metric.process(None, predict_truth(CocoDataset(str(path))))
    metric.evaluate(9)
    truth = CocoApi(str(path))
    evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "out.keypoints.json")), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_keypoints_are_taken_by_name(tmp_path, capsys):
    """Tools export them in any order: taken by position, left and right would be exchanged."""
    content = make_content()
    plain = CocoDataset(str(write(content, tmp_path)))
    expected = [plain.get_data_info(i) for i in range(len(plain))]
    shuffled_names(content)
    named = CocoDataset(str(write(content, tmp_path)))
    for i, record in enumerate(expected):
        for key in ("keypoints", "keypoints_visible"):
            np.testing.assert_array_equal(named.get_data_info(i)[key], record[key])
    told = capsys.readouterr()
    assert "in another order than the metainfo 'coco'" in told.out + told.err
    names = content["categories"][0]["keypoints"]
    theirs = [name.lower().replace(" ", "_") for name in names]
    at = next(i for i in range(17) if theirs[i] != COCO.keypoints[i])
    differing = f"the first to differ is {names[at]!r} in place of {COCO.keypoints[at]!r}"
    assert differing in told.out + told.err


def test_the_names_of_a_wholebody_file_are_its_bodys(people_json, tmp_path):
    names = list(COCO.keypoints)
    names[5], names[6] = names[6], names[5]
    path = write(people_json, tmp_path)
    plain = CocoWholeBodyDataset(str(path)).get_data_info(0)["keypoints"][0]
    people_json["categories"][0]["keypoints"] = names
    points = CocoWholeBodyDataset(str(write(people_json, tmp_path))).get_data_info(0)["keypoints"]
    np.testing.assert_array_equal(points[0, [5, 6]], plain[[6, 5]])
    np.testing.assert_array_equal(points[0, 7:], plain[7:])


@pytest.mark.parametrize("score", ["NaN", "Infinity", "null", '"0.9"'])
def test_scores_of_boxes_are_numbers(score, tmp_path):
    path = write(make_content(), tmp_path)
    boxes = tmp_path / "boxes.json"
    boxes.write_text(f'[{{"image_id": 1, "bbox": [1, 2, 30, 40], "score": {score}}}]')
    with pytest.raises(DataError, match=r"boxes.json: the score of detection 0 must be a number"):
        CocoDataset(str(path), bbox_file=str(boxes))


def test_boxes_of_another_category_only_are_refused(tmp_path):
    content = make_content()
    category_seven(content)
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([dict(image_id=1, category_id=1, bbox=[1, 2, 30, 40], score=1.0)]))
    with pytest.raises(DataError, match=r"no detection is of the category 7.*they are of 1"):
        CocoDataset(str(write(content, tmp_path)), bbox_file=str(boxes))


def test_a_prediction_that_is_no_number_is_an_error(tmp_path):
    path = write(make_content(), tmp_path)
    samples = predict_truth(CocoDataset(str(path)))
    samples[4]["pred_instances"]["keypoint_scores"][0, 3] = float("nan")
    with pytest.raises(NonFiniteError, match=re.escape("person of image id 2")):
        CocoMetric(str(path)).process(None, samples)


@pytest.mark.parametrize("value", [1, 1.0, 1e30])
def test_the_ends_of_what_a_number_may_be(value):
    assert read_number(value, "width", least=1) == value
    assert read_number(-1e30, "score") == -1e30
    for wrong in (1.001e30, -1.001e30):
        with pytest.raises(DataError, match="score must be a number, found"):
            read_number(wrong, "score")
    assert read_number(10, "area", most=10) == 10
    with pytest.raises(DataError, match="area must be a number and at most 10, found 11"):
        read_number(11, "area", most=10)


@pytest.mark.parametrize("size", [1, 1.5])
def test_the_smallest_image(size, tmp_path):
    content = make_content()
    content["images"].append(dict(id=9, file_name="dot.png", width=size, height=size))
    assert oracle_ap(write(content, tmp_path)) == pytest.approx(1)


def test_numbers_come_before_texts_in_the_order_of_ids():
    assert sorted(["b", 10, "a", 9], key=id_order) == [9, 10, "a", "b"]


def test_a_million_pixels_are_some(tmp_path):
    content = make_content()
    content["annotations"][0]["keypoints"][:2] = 1e6, -1e6
    content["annotations"][0]["bbox"] = [-10, -10, 1e6, 1e6]
    dataset = CocoDataset(str(write(content, tmp_path)))
    assert dataset.get_data_info(0)["keypoints"][0, 0].tolist() == [1e6, -1e6]


@pytest.mark.parametrize("prefix", [None, "mine"])
def test_the_prefix_of_the_figures(prefix, tmp_path):
    path = str(write(make_content(), tmp_path))
    metric = CocoMetric(path, prefix=prefix)
    metric.process(None, predict_truth(CocoDataset(path)))
    assert {name.split("/")[0] for name in metric.evaluate(9)} == {prefix or "coco"}


def test_predictions_of_other_keypoints_are_an_error(tmp_path):
    path = str(write(make_content(), tmp_path))
    samples = predict_truth(CocoDataset(path))
    people = samples[0]["pred_instances"]
    people["keypoints"] = people["keypoints"][:, :16]
    people["keypoint_scores"] = people["keypoint_scores"][:, :16]
    with pytest.raises(ConfigError, match="16"):
        CocoMetric(path).process(None, samples)
