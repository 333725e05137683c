import json

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from engine.errors import ConfigError
from pose.annotations import AnnotationFile
from pose.infer import PoseWriter
from pose.infer.formats import FORMATS, Layout, Picture
from pose.infer.writer import write_json
from pose.metainfo import COCO, COCO_WHOLEBODY, GOLIATH, PoseMetainfo

SETS = {"coco": COCO, "coco_wholebody": COCO_WHOLEBODY, "goliath": GOLIATH}


def people_of(num, metainfo, seed=0, tracked=False):
    rng = np.random.default_rng(seed)
    k = metainfo.num_keypoints
    people = InstanceData(
        keypoints=torch.from_numpy(rng.uniform(5, 60, (num, k, 2))).float(),
        keypoint_scores=torch.from_numpy(rng.uniform(0, 1, (num, k))).float(),
        bboxes=torch.tensor([[1.0, 2, 31, 42]] * num).view(num, 4),
        bbox_scores=torch.full((num,), 0.5),
    )
    if tracked:
        people.track_ids = torch.arange(7, 7 + num)
    return people


def picture(num, metainfo, **fields):
    return Picture("sub/a.jpg", (70, 60), people_of(num, metainfo), **fields)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("num", [0, 2])
def test_every_format_is_plain_json_of_everybody(format, num):
    content = Layout(format, GOLIATH).of_image(picture(num, GOLIATH))
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    people = {
        "mmsapiens": "instances", "release": "instance_info", "openpose": "people",
        "coco": "annotations",
    }[format]  # fmt: skip
    assert len(content[people]) == num


def test_the_release_nests_boxes_and_says_what_keypoints_are():
    shown = picture(1, GOLIATH)
    content = Layout("release", GOLIATH).of_image(shown)
    (person,) = content["instance_info"]
    assert set(person) == {"keypoints", "keypoint_scores", "bbox", "bbox_score"}
    assert person["bbox"] == [[1, 2, 31, 42]] and person["bbox_score"] == 0.5
    np.testing.assert_allclose(person["keypoints"], shown.people.keypoints[0], rtol=1e-6)
    meta = content["meta_info"]
    assert meta["dataset_name"] == "goliath" and meta["num_keypoints"] == 308
    assert meta["keypoint_id2name"]["5"] == GOLIATH.keypoints[5]
    assert meta["keypoint_name2id"]["nose"] == GOLIATH.ids["nose"]
    swap = np.array(meta["flip_indices"])
    assert (swap[swap] == np.arange(308)).all()
    for a, b in meta["flip_pairs"]:
        assert a < b == swap[a]
    assert len(meta["flip_pairs"]) == (swap != np.arange(308)).sum() / 2
    colors = meta["skeleton_link_colors"]
    assert colors["shape"] == [meta["num_skeleton_links"], 3] and colors["dtype"] == "uint8"
    assert np.array(colors["__ndarray__"]).shape == tuple(colors["shape"])
    np.testing.assert_allclose(meta["sigmas"]["__ndarray__"], GOLIATH.sigmas, rtol=1e-6)


BODY_25 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee",
    "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear", "left_big_toe",
    "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip


@pytest.mark.parametrize("metainfo", SETS.values(), ids=SETS)
def test_openpose_counts_by_its_own_order(metainfo):
    people = people_of(2, metainfo, tracked=True)
    content = Layout("openpose", metainfo).of_image(Picture("a.jpg", (70, 60), people))
    assert content["version"] == 1.3
    second = content["people"][1]
    assert second["person_id"] == [8]
    body = np.reshape(second["pose_keypoints_2d"], (25, 3))
    points = people.keypoints[1].numpy()
    for name, (x, y, score) in zip(BODY_25, body, strict=True):
        if name in metainfo.ids and name != "neck":  # Goliath's is another point
            np.testing.assert_allclose((x, y), points[metainfo.ids[name]], rtol=1e-6)
            assert score == pytest.approx(float(people.keypoint_scores[1, metainfo.ids[name]]))
    middles = {"neck": "shoulder", "mid_hip": "hip"}
    for name, joint in middles.items():
        both = points[[metainfo.ids[f"{side}_{joint}"] for side in ("left", "right")]]
        np.testing.assert_allclose(body[BODY_25.index(name), :2], both.mean(axis=0), rtol=1e-6)
    has_feet = "left_heel" in metainfo.ids
    assert (body[19:, 2] > 0).any() == has_feet
    wrist = {"coco_wholebody": "left_hand_root", "goliath": "left_wrist"}.get(metainfo.name)
    hand = np.reshape(second["hand_left_keypoints_2d"], (-1, 3))
    assert len(hand) == len(second["hand_right_keypoints_2d"]) / 3 == (21 if wrist else 0)
    if wrist:
        np.testing.assert_allclose(hand[0, :2], points[metainfo.ids[wrist]], rtol=1e-6)
    face = np.reshape(second["face_keypoints_2d"], (-1, 3))
    assert len(face) == (70 if metainfo is COCO_WHOLEBODY else 0)
    if len(face):
        np.testing.assert_allclose(face[30, :2], points[metainfo.ids["face-30"]], rtol=1e-6)
        assert not face[68:].any()


@pytest.mark.parametrize("metainfo", SETS.values(), ids=SETS)
def test_coco_is_read_as_truth(metainfo, tmp_path):
    shown = picture(2, metainfo)
    write_json(tmp_path / "a.json", Layout("coco", metainfo, kpt_thr=0.4).of_image(shown))
    first, second = AnnotationFile(str(tmp_path / "a.json"), metainfo.name, metainfo).people()
    assert first.image["file_name"] == "sub/a.jpg" and (first.id, second.id) == (1, 2)
    seen = shown.people.keypoint_scores[1].numpy() >= 0.4
    np.testing.assert_allclose(second.keypoints[seen, :2], shown.people.keypoints[1][seen])
    np.testing.assert_array_equal(second.keypoints[:, 2], 2 * seen)
    np.testing.assert_allclose(second.box_xywh, [1, 2, 30, 40])
    assert second.annotation["num_keypoints"] == seen.sum() and 0 < seen.sum() < len(seen)


@pytest.mark.parametrize("format", FORMATS)
def test_a_video_has_times_ids_and_failures(format, tmp_path):
    frames = [
        Picture(f"a.mp4#{i}", (70, 60), people_of(num, COCO, i, tracked=True), i / 8, failures)
        for i, (num, failures) in enumerate([(2, []), (0, ["a.mp4#1 is damaged"]), (1, [])])
    ]
    path = tmp_path / "a.json"
    write_json(path, Layout(format, COCO).of_video(frames, (70, 60), 8.0, "a.mp4"))
    content = json.loads(path.read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    keys = {"release": "instance_info", "coco": "images"}
    rows = content[keys.get(format, "frames")]
    assert [row["frame_id"] for row in rows] == [0, 1, 2]
    assert [row["time_s"] for row in rows] == [0, 0.125, 0.25]
    assert [row.get("failures") for row in rows] == [None, ["a.mp4#1 is damaged"], None]
    if format == "coco":
        found = [[a for a in content["annotations"] if a["image_id"] == r["id"]] for r in rows]
        assert len({a["id"] for a in content["annotations"]}) == 3
    else:
        found = [row["people" if format == "openpose" else "instances"] for row in rows]
    ids = [[p["person_id"][0] if format == "openpose" else p["track_id"] for p in f] for f in found]
    assert ids == [[7, 8], [], [7]]
    alone = Layout(format, COCO).of_image(frames[0])
    key = {"mmsapiens": "instances", "release": "instance_info", "coco": "annotations"}
    assert found[0] == alone[key.get(format, "people")]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[1]")
    with pytest.raises(ZeroDivisionError):
        write_json(path, {"rows": (1 / n for n in (1, 0))})
    assert path.read_text() == "[1]" and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_format_that_the_set_cannot_have_is_refused_at_once():
    tools = PoseMetainfo("tools", ("head", "grip")).as_dict()
    with pytest.raises(ConfigError, match="no left_shoulder"):
        PoseWriter(tools, format="openpose")
    with pytest.raises(ConfigError, match="one of mmsapiens, release, openpose, coco, not 'csv'"):
        PoseWriter(tools, format="csv")
    assert PoseWriter(tools, format="coco").layout.metainfo.num_keypoints == 2


def test_ids_are_drawn_above_the_boxes():
    writer, image = PoseWriter(COCO.as_dict(), kpt_thr=2.0), np.zeros((70, 60, 3), np.uint8)
    with_ids, without = people_of(1, COCO, tracked=True), people_of(1, COCO)
    assert not writer.draw(without, image).any()
    rows, columns = np.nonzero(writer.draw(with_ids, image).any(axis=2))
    assert len(rows) and rows.max() < 20  # the box is from 1, 2 to 31, 42
    assert columns.min() >= 15 and columns.max() < 31


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("num", [0, 2])
def test_what_holds_all_is_read_back_by_a_second_run(format, num):
    layout, shown = Layout(format, COCO), picture(num, COCO)
    if format in ("openpose", "coco"):
        assert PoseWriter(COCO.as_dict(), format=format).sure_suffixes is None
        return
    assert PoseWriter(COCO.as_dict(), format=format).sure_suffixes == (".json", ".jpg")
    people = layout.read_people(json.loads(json.dumps(layout.of_image(shown))))
    for name in ("keypoints", "keypoint_scores", "bboxes", "bbox_scores"):
        torch.testing.assert_close(people.get(name), shown.people.get(name), atol=0, rtol=0)
