import copy
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from unicodedata import normalize

import numpy as np
import pytest
from mmengine.registry import HOOKS, init_default_scope
from PIL import Image
from torch.utils.data import DataLoader

from engine.data import SampleKey
from engine.errors import ConfigError, DataError
from mmsapiens.preflight import CHECKS, make_report, scan
from mmsapiens.preflight.check import Item
from pose.datasets import CocoDataset, CocoWholeBodyDataset, GoliathDataset
from pose.metainfo import GOLIATH_RAW_IDS

DATASETS = {
    "coco": (CocoDataset, "person_keypoints", 17),
    "coco_wholebody": (CocoWholeBodyDataset, "coco_wholebody", 133),
    "goliath": (GoliathDataset, "person_keypoints", 308),
}
PIPELINE = (
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="TopdownAffine", size_hw=(64, 48)),
    dict(type="Warp"),
    dict(type="PackInputs"),
)


def make(people_dirs, name, **kwargs):
    cls, stem, _ = DATASETS[name]
    return cls(
        f"annotations/{stem}_train.json",
        data_root=str(people_dirs[name]),
        data_prefix=dict(img="images"),
        **kwargs,
    )


@pytest.fixture
def write(tmp_path):
    def write(content, name="people.json"):
        (tmp_path / name).write_text(json.dumps(content))
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("name", DATASETS)
def test_packs_one_person_a_sample(people_dirs, name):
    dataset = make(people_dirs, name, pipeline=PIPELINE)
    num = DATASETS[name][2]
    annotations = json.loads(Path(dataset.ann_path).read_text())["annotations"]
    assert len(dataset) == sum(found["num_keypoints"] > 0 for found in annotations)
    assert len(dataset.metainfo["keypoints"]) == num
    sample = dataset[0]["data_samples"]
    people = sample.gt_instances
    assert people.keypoints.shape == (1, num, 2) and people.keypoints_visible.shape == (1, num)
    assert people.bboxes.shape == (1, 4) and sample.bbox_xyxy.shape == (4,)
    assert sample.img_id == annotations[0]["image_id"] and sample.id == annotations[0]["id"]
    seen = people.keypoints[people.keypoints_visible > 0]
    assert (seen > -20).all() and (seen < 84).all()


def test_a_packed_sample_is_small(people_dirs):
    """Workers send pixels and coordinates, no heatmaps: less than 3 MB at 1024x768."""
    pipeline = copy.deepcopy(PIPELINE)
    pipeline[2]["size_hw"] = (1024, 768)
    packed = make(people_dirs, "goliath", pipeline=pipeline)[0]
    tensors = [packed["inputs"], *packed["data_samples"].gt_instances.values()]
    assert sum(t.nbytes for t in tensors) < 3e6


def test_filters_are_the_releases(people_json, write):
    crowd, empty, nowhere = (copy.deepcopy(people_json["annotations"][0]) for _ in range(3))
    crowd.update(id=1, iscrowd=1)
    empty.update(id=2, num_keypoints=0)
    nowhere.update(id=3, keypoints=[0, 0, 2] * 17)
    people_json["annotations"] += [crowd, empty, nowhere]
    dataset = CocoDataset(write(people_json))
    assert len(dataset) == 12 and not {1, 2, 3} & {
        dataset.get_data_info(i)["id"] for i in range(12)
    }
    # COCO-WholeBody's own labels of crowded scenes count as one more kind of visible.
    record = CocoWholeBodyDataset(write(people_json)).get_data_info(0)
    assert set(np.unique(record["keypoints_visible"])) <= {0, 1}


def test_boxes_are_clipped_to_pixel_centers(people_json, write):
    people_json["annotations"] = people_json["annotations"][:1]
    people_json["annotations"][0]["bbox"] = [-10, 20, 700, 1000]
    np.testing.assert_array_equal(
        CocoDataset(write(people_json)).get_data_info(0)["bbox"], [[0, 20, 639, 424]]
    )


def test_detected_boxes_have_a_score_and_no_keypoints(people_json, write):
    detections = [
        dict(image_id=785, category_id=1, bbox=[10, 20, 30, 40], score=0.9),
        dict(image_id=785, category_id=2, bbox=[10, 20, 30, 40], score=0.9),
        dict(image_id=785, category_id=1, bbox=[-5, 20, 30, 40], score=0.5),
        dict(image_id=785, category_id=1, bbox=[10, 20, 30, 40], score=0.1),
        dict(image_id=785, category_id=1, bbox=[639.3, 20, 2, 40], score=0.4),  # at the very edge
    ]
    bbox_file = write(detections, "boxes.json")
    at_it = CocoDataset(write(people_json), bbox_file=bbox_file, bbox_score_thr=0.5)
    assert len(at_it) == 2, "the lowest score of a box is its own"
    dataset = CocoDataset(write(people_json), bbox_file=bbox_file, bbox_score_thr=0.3)
    first, second, edge = (dataset.get_data_info(i) for i in range(len(dataset)))
    assert "keypoints" not in first and first["id"] != second["id"]
    np.testing.assert_array_equal(first["bbox"], [[10, 20, 40, 60]])
    np.testing.assert_array_equal(second["bbox"], [[-5, 20, 25, 60]])
    np.testing.assert_allclose([first["bbox_score"], second["bbox_score"]], [[0.9], [0.5]])
    np.testing.assert_allclose(edge["bbox"], [[639.3, 20, 641.3, 60]])
    detections[0]["image_id"] = 5
    write(detections, "boxes.json")
    with pytest.raises(DataError, match=r"boxes.json: 1 image ids, such as 5.*people.json"):
        CocoDataset(write(people_json), bbox_file=bbox_file)


def test_the_raw_list_of_goliath_is_reduced(people_dirs, write):
    path = people_dirs["goliath"] / "annotations/person_keypoints_train.json"
    content = json.loads(path.read_text())
    for found in content["annotations"]:
        raw = np.zeros((344, 3))
        raw[list(GOLIATH_RAW_IDS)] = np.reshape(found["goliath_wholebody_kpts"], (-1, 3))
        found["goliath_wholebody_kpts"] = raw.ravel().tolist()
    raw, reduced = GoliathDataset(write(content)), GoliathDataset(str(path))
    for i in range(len(reduced)):
        a, b = raw.get_data_info(i), reduced.get_data_info(i)
        np.testing.assert_array_equal(a["keypoints"], b["keypoints"])


def test_own_keypoints_need_only_a_metainfo(people_json, write):
    for found in people_json["annotations"]:
        found["keypoints"] = found["keypoints"][:9]
    own = dict(
        name="triangle",
        keypoints=["nose", "left_eye", "right_eye"],
        flip_pairs=[("left_eye", "right_eye")],
    )
    dataset = CocoDataset(write(people_json), metainfo=own)
    assert dataset.get_data_info(0)["keypoints"].shape == (1, 3, 2)
    assert dataset.keypoint_set.keypoint_swap_indices == (0, 2, 1)
    own["flip_pairs"] = [("left_eye", "right_eey")]
    with pytest.raises(ConfigError, match="flip_pairs names 'right_eey'"):
        CocoDataset(write(people_json), metainfo=own)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(keypoints=[1, 2, 2] * 18), r"annotation 442619 has 18 keypoints.*'coco' names 17"),
        (dict(keypoints=[1, 2, 2] * 16 + [1, 2]), r"16\.\d+ keypoints"),
        (dict(keypoints=[float("nan"), 2, 2] + [1, 2, 2] * 16), "keypoint 'nose' is not finite"),
        (dict(bbox=[10, 20, 0, 40]), r"1 boxes have no area or lie outside.*\[10, 20, 0, 40\]"),
        (dict(bbox=[700, 20, 30, 40]), r"outside their image.*000000000785.jpg of 640x425"),
        (dict(bbox=[10, 20, float("nan"), 40]), "no area"),
        (dict(bbox=[10, 20, 30]), r"box of 442619 must be 4 numbers.*\[10, 20, 30\]"),
        (dict(keypoints=None), r"442619: keypoints must be lists of numbers"),
        (dict(image_id=3), r"1 image ids, such as 3, are not among the 4 images"),
    ],
)
def test_bad_annotations_are_named(people_json, write, changes, message):
    people_json["annotations"][0].update(changes)
    with pytest.raises(DataError, match=rf"people.json.*{message}"):
        CocoDataset(write(people_json))


def test_bad_boxes_may_be_dropped(people_json, write):
    people_json["annotations"][0]["bbox"] = [10, 20, 0, 40]
    assert len(CocoDataset(write(people_json), drop_bad_boxes=True)) == 11


def test_files_that_are_no_annotations(people_json, write, tmp_path):
    with pytest.raises(DataError, match=r"nothing.json does not exist"):
        CocoDataset(str(tmp_path / "nothing.json"))
    with pytest.raises(DataError, match=r"expected COCO's JSON.*found a list"):
        CocoDataset(write([]))
    for entries, key in (("images", "width"), ("annotations", "bbox")):
        content = copy.deepcopy(people_json)
        del content[entries][1][key]
        with pytest.raises(DataError, match=rf"{entries[:-1]} number 1 .* has no {key}; found"):
            CocoDataset(write(content))
    for found in people_json["annotations"]:
        del found["face_kpts"]
    with pytest.raises(DataError, match=r"has no face_kpts.*coco_wholebody"):
        CocoWholeBodyDataset(write(people_json))


def test_an_image_missing_on_disk_is_named(people_json, write):
    dataset = CocoDataset(write(people_json), pipeline=PIPELINE, data_prefix=dict(img="photos"))
    with pytest.raises(DataError, match=r"photos/000000000785.jpg does not exist"):
        dataset[0]


@pytest.fixture
def people(people_dirs, tmp_path):
    """A copy that a test may spoil, and its annotations."""
    folder = shutil.copytree(people_dirs["coco"], tmp_path / "people")
    return folder, folder / "annotations/person_keypoints_train.json"


def resize_first(folder, annotations, size_wh):
    name = json.loads(annotations.read_text())["images"][0]["file_name"]
    image = Image.open(folder / "images" / name)
    image.resize(size_wh).save(folder / "images" / name)
    return name


def of_image(folder, annotations, name, **kwargs):
    dataset = CocoDataset(
        str(annotations), data_prefix=dict(img=str(folder / "images")), pipeline=PIPELINE, **kwargs
    )
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    return dataset, [i for i, record in enumerate(records) if record["img_path"].endswith(name)]


@pytest.mark.parametrize("detected", [False, True])
def test_an_image_that_was_resized_after_its_annotation_is_an_error(people, tmp_path, detected):
    folder, annotations = people
    name = resize_first(folder, annotations, (64, 64))
    kwargs = {}
    if detected:
        image_id = json.loads(annotations.read_text())["images"][0]["id"]
        boxes = [dict(image_id=image_id, bbox=[10, 10, 50, 60], score=1.0)]
        (tmp_path / "boxes.json").write_text(json.dumps(boxes))
        kwargs = dict(bbox_file=str(tmp_path / "boxes.json"))
    dataset, indices = of_image(folder, annotations, name, **kwargs)
    message = rf"{name} is 64x64, but its annotation says 128x128 .*resized after"
    with pytest.raises(DataError, match=message):
        dataset[indices[0]]


def test_an_image_that_lies_on_its_side(people):
    folder, annotations = people
    name = resize_first(folder, annotations, (128, 100))
    turned = Image.Exif()
    turned[0x112] = 6  # shown as 100 wide and 128 high
    path = folder / "images" / name
    Image.open(path).save(path, exif=turned)
    content = json.loads(annotations.read_text())
    content["images"][0] |= dict(width=100, height=128)
    annotations.write_text(json.dumps(content))
    dataset, indices = of_image(folder, annotations, name)
    dataset[indices[0]]
    content["images"][0] |= dict(width=128, height=100)
    annotations.write_text(json.dumps(content))
    dataset, indices = of_image(folder, annotations, name)
    with pytest.raises(DataError, match=r"is 128x100.*says 100x128.*lying on its side"):
        dataset[indices[0]]


def test_the_check_of_the_data_compares_sizes(people):
    folder, annotations = people
    name = resize_first(folder, annotations, (64, 64))
    content = json.loads(annotations.read_text())
    content["annotations"][-1]["keypoints"][:6] = [500, 10, 2, 0, 0.2, 2]
    shares = np.reshape(content["annotations"][-2]["keypoints"], (17, 3)) / (128, 128, 1)
    content["annotations"][-2]["keypoints"] = shares.ravel().tolist()
    annotations.write_text(json.dumps(content))
    dataset, _ = of_image(folder, annotations, name)
    items = [Item("train", dataset.get_data_info(i)) for i in range(len(dataset))]
    report = make_report(CHECKS, {}, list(scan(items, CHECKS, {"train": dataset.metainfo})))
    found = {f.kind: f for f in report.findings}
    assert set(found) == {"size-mismatch", "outside", "off-box"}
    (case,) = found["off-box"].cases
    assert f"annotation {content['annotations'][-2]['id']}" in case.detail
    (case,) = found["size-mismatch"].cases
    assert case.path.endswith(name) and "64x64" in case.detail
    assert found["outside"].cases[0].detail.endswith(": 1 of 17")
    assert found["size-mismatch"].level == "fault" and report.num_faults == 1
    assert report.figures["keypoints"]["labelled"]["max"] <= 17


@pytest.mark.parametrize("written, on_disk", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_names_with_accents_are_found_however_they_are_written(people, written, on_disk):
    folder, annotations = people
    content = json.loads(annotations.read_text())
    name = "jos\u00e9/" + content["images"][0]["file_name"].replace("0", "\u00fc")
    image = folder / "images" / normalize(on_disk, name)
    image.parent.mkdir(parents=True)
    (folder / "images" / content["images"][0]["file_name"]).rename(image)
    content["images"][0]["file_name"] = normalize(written, name)
    annotations.write_text(json.dumps(content))
    dataset, indices = of_image(folder, annotations, image.name)
    assert dataset[indices[0]]["data_samples"].img_path == str(image)


class TestRedrawing:
    @pytest.fixture
    def dataset(self, people_dirs):
        """Only a person with many keypoints in the crop is accepted."""
        init_default_scope("pose")
        steps = [
            *PIPELINE[:2],
            dict(type="RandomBBoxTransform", shift_factor=0.5, shift_prob=1.0),
            PIPELINE[2],
            dict(type="RequireKeypoints", num_keypoints=15),
            *PIPELINE[3:],
        ]
        return make(people_dirs, "coco", pipeline=steps)

    def test_is_deterministic_and_counted(self, dataset):
        keys = [SampleKey(3, epoch, i) for epoch in range(3) for i in range(len(dataset))]
        first = [dataset[key]["data_samples"] for key in keys]
        counted = dataset.num_redrawn
        again = [dataset[key]["data_samples"] for key in keys]
        assert [a.sample_key for a in first] == [b.sample_key for b in again]
        replaced = sum(a.sample_key != tuple(key) for a, key in zip(first, keys, strict=True))
        assert 0 < replaced <= counted and dataset.num_redrawn == 2 * counted
        for sample in first:
            points = sample.gt_instances.keypoints[sample.gt_instances.keypoints_visible > 0]
            inside = ((points >= 0) & (points <= points.new_tensor([47, 63]))).all(dim=-1)
            assert inside.sum() >= 15

    def test_ends(self, people_dirs):
        load = dict(type="LoadImage", reduce=True)  # does not decode what is rejected
        steps = [load, *PIPELINE[1:3], dict(type="RequireKeypoints", num_keypoints=18)]
        dataset = make(people_dirs, "coco", pipeline=steps)
        with pytest.raises(DataError, match=r"1000 samples in a row.*num_keypoints"):
            dataset[0]

    def test_each_epoch_logs_its_own_count(self, dataset):
        hook, messages = HOOKS.build(dict(type="RedrawnHook")), []
        logger = SimpleNamespace(info=messages.append)
        runner = SimpleNamespace(train_dataloader=DataLoader(dataset, len(dataset)), logger=logger)
        counts = []
        for epoch in range(3):
            before = dataset.num_redrawn
            hook.before_train_epoch(runner)
            for i in range(len(dataset)):
                dataset[SampleKey(3, epoch, i)]
            hook.after_train_epoch(runner)
            counts.append(dataset.num_redrawn - before)
        assert all(counts)
        shares = [f"{count / len(dataset):.1%}" for count in counts]
        assert messages == [
            f"{count} samples were redrawn for want of keypoints ({share})."
            for count, share in zip(counts, shares, strict=True)
        ]

    def test_a_corrupt_redraw_counts_as_itself(self, people):
        """Not as the samples that it would have replaced, of which nothing is wrong."""
        folder, annotations = people
        steps = [*PIPELINE[:3], dict(type="RequireKeypoints", num_keypoints=15), *PIPELINE[3:]]
        content = json.loads(annotations.read_text())
        first = {**content["annotations"][0], "num_keypoints": 17}
        first["keypoints"] = [60, 60, 2] * 17
        few = {**first, "keypoints": [60, 60, 2] * 3 + [0, 0, 0] * 14, "num_keypoints": 3}
        images = content["images"]
        content["annotations"] = [
            {**found, "id": i, "image_id": images[place]["id"], "bbox": [40, 40, 40, 40]}
            for i, (found, place) in enumerate([(first, 0), (first, 1), *[(few, 0)] * 6])
        ]
        annotations.write_text(json.dumps(content))
        (folder / "images" / images[1]["file_name"]).write_bytes(b"no image")
        dataset = CocoDataset(
            str(annotations),
            data_prefix=dict(img=str(folder / "images")),
            pipeline=steps,
            on_corrupt="skip",
        )
        for epoch in range(3):
            for i in range(len(dataset)):
                assert dataset[SampleKey(0, epoch, i)]["data_samples"].id == 0
        assert dataset.num_corrupt == 1
