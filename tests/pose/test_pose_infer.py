import json
import pickle
import threading
from pathlib import Path
from struct import pack, pack_into, unpack_from

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from engine.data.sample import DataSample
from engine.errors import ConfigError, DataError
from engine.infer import Failure, InputImage, check_results, find_images
from engine.infer.video import VideoReader
from pose.infer import (
    BoxesFile,
    PeopleOfVideo,
    PoseWriter,
    coco_results,
    is_video,
    predict_people,
    predict_video,
    whole_image,
)
from pose.metainfo import COCO
from pose.registry import MODELS


@pytest.fixture
def cfg(pose_config):
    return pose_config("coco")


@pytest.fixture
def model(cfg):
    init_default_scope("pose")
    torch.manual_seed(0)
    return MODELS.build(cfg.model).eval()


@pytest.fixture
def photos(tmp_path):
    """Images of several sizes in nested folders, one of them broken."""
    rng = np.random.default_rng(0)
    for name, size_hw in {"a.png": (90, 120), "sub/a.png": (64, 64), "sub/b.jpg": (50, 33)}.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (*size_hw, 3), np.uint8))
    (tmp_path / "photos" / "sub" / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


@pytest.fixture
def boxes_file(tmp_path):
    path = tmp_path / "boxes.json"
    boxes = {
        "a.png": [[10, 10, 50, 80, 0.5], [60, 10, 110, 85]],
        "sub/a.png": [],
        "b.jpg": [[0, 0, 33, 50]],
    }
    path.write_text(json.dumps(boxes))
    return path


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (2, 1), (8, 0)])
def test_everybody_is_found_whatever_the_batches(
    model, cfg, photos, boxes_file, batch_size, num_workers
):
    found = list(
        predict_people(
            model, cfg, find_images(str(photos)), BoxesFile(boxes_file), batch_size, num_workers
        )
    )
    by_name = {item.image.path.relative_to(photos).as_posix(): item for item in found}
    assert list(by_name) == ["a.png", "sub/a.png", "sub/b.jpg", "sub/broken.jpg"]
    failure = by_name.pop("sub/broken.jpg")
    assert isinstance(failure, Failure) and "broken.jpg" in failure.reason
    people = {name: item.sample.pred_instances for name, item in by_name.items()}
    assert [len(found.keypoints) for found in people.values()] == [2, 0, 1]
    np.testing.assert_allclose(people["a.png"].bbox_scores, [0.5, 1])
    np.testing.assert_allclose(people["a.png"].bboxes[1], [60, 10, 110, 85])
    # A person alone is found in the same place.
    alone = next(
        predict_people(model, cfg, find_images(str(photos / "sub/b.jpg")), whole_image, 1, 0)
    )
    one, other = alone.sample.pred_instances, people["sub/b.jpg"]
    torch.testing.assert_close(one.bboxes, other.bboxes, atol=0, rtol=0)
    torch.testing.assert_close(one.keypoint_scores, other.keypoint_scores, atol=1e-4, rtol=0)
    # Where a peak of this random model is flat, rounding moves it; most are not.
    assert ((one.keypoints - other.keypoints).norm(dim=-1) < 1e-2).float().mean() > 0.5


def test_a_bad_box_is_left_out_and_costs_nobody_else(model, cfg, photos, tmp_path):
    path = tmp_path / "boxes.json"
    bad = [
        *([10, 10, 10, 80], [500, 500, 700, 700], [5, 5, float("nan"), 50]),
        *([-50, -40, -10, -9], [1, 2, 30, 40, float("nan")]),
    ]
    boxes = {"a.png": [bad[0], [60, 10, 110, 85], *bad[1:]], "sub/a.png": [[1, 2, 30, 40]]}
    path.write_text(json.dumps(boxes))
    found = list(predict_people(model, cfg, find_images(str(photos)), BoxesFile(path), 2, 0))
    failures = [item for item in found if isinstance(item, Failure)]
    of_boxes = [item.reason for item in failures if item.image.path == photos / "a.png"]
    assert len(of_boxes) == 5 and "(500, 500, 700, 700)" in of_boxes[1]
    assert all("no area within the image of 120x90" in reason for reason in of_boxes)
    people = [item.sample.pred_instances for item in found if not isinstance(item, Failure)]
    assert [person.bboxes.tolist() for person in people] == [[[60, 10, 110, 85]], [[1, 2, 30, 40]]]
    reasons = {item.image.path.name: item.reason for item in failures}
    assert "has no boxes of 'sub/b.jpg'" in reasons["b.jpg"] and len(failures) == 7


def test_a_prediction_that_is_no_number_is_a_failure_of_its_image(model, cfg, photos, boxes_file):
    """JSON has no NaN."""
    scores = model.head.final_layer.bias.data
    scores[3] = float("nan")
    found = list(predict_people(model, cfg, find_images(str(photos)), BoxesFile(boxes_file), 2, 0))
    reasons = {i.image.path.name: i.reason for i in found if isinstance(i, Failure)}
    assert "NonFiniteError: NaN or infinity" in reasons["a.png"] and "b.jpg" in reasons


def test_an_image_without_people_alone(model, cfg, photos):
    images = find_images(str(photos / "sub" / "a.png"))
    (found,) = predict_people(model, cfg, images, lambda pixels, name: np.zeros((0, 5)), 2, 0)
    assert found.image == images[0]
    assert found.sample.pred_instances.keypoints.shape == (0, 17, 2)


def test_a_file_of_bad_boxes_is_an_error(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"a.png": [[1, 2, 3]]}))
    with pytest.raises(DataError, match=r"'a.png' needs a list of boxes .*\[\[1, 2, 3\]\]"):
        BoxesFile(path)
    path.write_text('{"a.png": null}')
    with pytest.raises(DataError, match="found None"):
        BoxesFile(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="found a list"):
        BoxesFile(path)


def results_of(writer, tmp_path, names):
    for name in names:
        writer.collect(DataSample(metainfo={"img_path": name}, pred_instances=people_of(1)))
    writer.finish(tmp_path)
    return json.loads((tmp_path / "coco_results.json").read_text())


def test_results_of_images_have_numbers_of_their_own(tmp_path):
    rows = results_of(PoseWriter(COCO.as_dict()), tmp_path, ("x/2.jpg", "x.jpg", "2.jpg", "a.jpg"))
    assert len({row["image_id"] for row in rows}) == 4 and rows[0]["image_id"] == 2
    assert [row["file_name"] for row in rows] == ["2.jpg", "a.jpg", "x/2.jpg", "x.jpg"]


def test_results_of_many_images_wait_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_results, "_IN_MEMORY", 1000)
    writer = PoseWriter(COCO.as_dict())
    rows = results_of(writer, tmp_path, [f"{i}.jpg" for i in range(20)])
    assert writer.results._file._rolled and len(rows) == 20
    points = np.array(rows[7]["keypoints"]).reshape(17, 3)[:, :2]
    np.testing.assert_allclose(points, people_of(1).keypoints[0], rtol=1e-6)


def annotations(path, images):
    rows = [{"id": i, "file_name": name, "width": 9, "height": 9} for i, name in images]
    path.write_text(json.dumps({"images": rows}))
    return str(path)


def test_ids_of_images_come_from_an_annotation_file(tmp_path):
    """By the whole name, or that without folders where only one image has it."""
    given = [(70, "train/a.jpg"), (80, "train/2.jpg"), (90, "val/2.jpg"), (100, "e\u0301.jpg")]
    path = annotations(tmp_path / "ids.json", given)
    writer = PoseWriter(COCO.as_dict(), annotations=path)
    names = ("val/2.jpg", "x/a.jpg", "\u00e9.jpg")
    writer.check([InputImage(Path(name), name[:-4]) for name in names])
    rows = results_of(writer, tmp_path, names)
    assert {row["file_name"]: row["image_id"] for row in rows} == {
        "val/2.jpg": 90, "x/a.jpg": 70, "\u00e9.jpg": 100
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"the names of 2 of the images, such as 2\.jpg"):
        writer.check([InputImage(Path(name), name[:-4]) for name in ("2.jpg", "b.jpg", "a.jpg")])
    path = annotations(tmp_path / "twice.json", [(1, "a.jpg"), (2, "a.jpg")])
    with pytest.raises(DataError, match=r"two of its images have one file_name"):
        PoseWriter(COCO.as_dict(), annotations=path)


def people_of(num):
    rng = np.random.default_rng(1)
    return InstanceData(
        keypoints=torch.from_numpy(rng.uniform(0, 60, (num, 17, 2)).astype(np.float32)),
        keypoint_scores=torch.ones(num, 17),
        bboxes=torch.tensor([[1.0, 2, 30, 40]] * num).view(num, 4),
        bbox_scores=torch.full((num,), 0.5),
    )


@pytest.mark.parametrize("style", ["skeleton", "openpose"])
@pytest.mark.parametrize("num", [0, 2])
def test_files_of_an_image(tmp_path, style, num):
    writer = PoseWriter(COCO.as_dict(), style=style)
    people = people_of(num)
    sample = DataSample(metainfo={"img_path": "sub/000000000785.jpg"}, pred_instances=people)
    image = np.full((70, 60, 3), 200, np.uint8)
    writer.write(sample, image, tmp_path / "a.b")
    writer.collect(sample)
    writer.finish(tmp_path)
    content = json.loads((tmp_path / "a.b.json").read_text())
    assert content["meta"] == {
        "image": "sub/000000000785.jpg", "width": 60, "height": 70, "keypoint_set": "coco"
    }  # fmt: skip
    assert len(content["instances"]) == num
    results = json.loads((tmp_path / "coco_results.json").read_text())
    assert [row["image_id"] for row in results] == [785] * num
    if num:
        first = content["instances"][0]
        np.testing.assert_allclose(first["keypoints"], people.keypoints[0], rtol=1e-6)
        assert first["bbox"] == [1, 2, 30, 40] and first["bbox_score"] == 0.5
        assert len(first["keypoint_scores"]) == 17 and len(results[0]["keypoints"]) == 51
    picture = cv2.imread(str(tmp_path / f"a.b{writer.suffixes[1]}"))
    assert picture.shape == image.shape
    background = 0 if style == "openpose" else 200
    assert (abs(picture.astype(int) - background) > 20).any() == (num > 0)
    names = json.loads((tmp_path / "keypoint_set.json").read_text())["keypoints"]
    assert names == list(COCO.keypoints)


def write_video(path, fourcc, num, size_wh=(64, 48)):
    """Frames of noise, so that a share of the file holds about that share of them."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 10, size_wh)
    rng = np.random.default_rng(0)
    for _ in range(num):
        writer.write(rng.integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8))
    writer.release()
    return path


def index_in_front(mp4):
    """Moves an MP4's index, which is at its end, before its frames, as for the web."""
    start, frames = mp4.index(b"moov") - 4, mp4.index(b"ftyp") - 4 + 28
    index = bytearray(mp4[start:])
    offset = index.index(b"stco") + 12
    for place in range(offset, offset + 4 * unpack_from(">I", index, offset - 4)[0], 4):
        pack_into(">I", index, place, unpack_from(">I", index, place)[0] + len(index))
    return mp4[:frames] + bytes(index) + mp4[frames:start]


def truncate(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


class TestVideos:
    @pytest.fixture
    def predict(self, model, cfg, tmp_path):
        """Predicts a video; returns the frames of its JSON, its picture file, and failures."""

        def run(path, find_boxes=whole_image):
            out_dir, writer = tmp_path / "out", PoseWriter(COCO.as_dict())
            done = list(predict_video(model, cfg, path, find_boxes, writer, out_dir, 2))
            failures = [item.reason for item in done if isinstance(item, Failure)]
            content = json.loads((out_dir / f"{path.stem}.json").read_text())
            numbers = [item for item in done if not isinstance(item, Failure)]
            assert numbers == list(range(1, len(content["frames"]) + 1))
            return content, cv2.VideoCapture(str(out_dir / f"{path.stem}.mp4")), failures

        return run

    def test_every_frame_is_done(self, predict, tmp_path):
        path = write_video(tmp_path / "clip.avi", "MJPG", 3)
        assert is_video(str(path)) and not is_video("photos/a.jpg")
        content, drawn, failures = predict(path)
        assert content["meta"]["fps"] == 10 and content["meta"]["width"] == 64
        assert [len(frame["instances"]) for frame in content["frames"]] == [1, 1, 1]
        assert drawn.read()[1].shape == (48, 64, 3)
        assert not failures and "failures" not in content["frames"][0]

    def test_what_cannot_be_read_or_written_is_an_error(self, model, cfg, predict, tmp_path):
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(b"nothing")
        with pytest.raises(DataError, match="not a video"):
            predict(broken)
        clip = write_video(tmp_path / "clip.mp4", "mp4v", 1)
        with pytest.raises(DataError, match="would be overwritten"):
            list(predict_video(model, cfg, clip, whole_image, PoseWriter(COCO.as_dict()), tmp_path))

    @pytest.mark.parametrize(
        "name, fourcc", [("a.avi", "MJPG"), ("a.mkv", "MJPG"), ("a.webm", "VP80")]
    )
    def test_an_early_end_is_seen(self, predict, tmp_path, name, fourcc):
        path = write_video(tmp_path / name, fourcc, 20)
        assert VideoReader(path).num_promised == 20
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        content, _, failures = predict(path)
        num = len(content["frames"])
        assert 5 < num < 15
        (failure,) = failures
        assert f"ends after {num} of the 20 frames" in failure

    def test_an_mp4_is_cut_off_if_its_boxes_reach_beyond_its_end(self, tmp_path):
        """It opens if its index is in front; a trimmed one counts what was trimmed away, too."""
        whole = write_video(tmp_path / "whole.mp4", "mp4v", 20).read_bytes()
        millis = whole.index(b"elst") + 12
        front = index_in_front(whole)
        contents = {
            "whole": whole,
            "trimmed": whole[:millis] + (1000).to_bytes(4, "big") + whole[millis + 4 :],
            "front": front,
            "cut": front[: int(len(front) * 0.8)],
        }
        ends = {}
        for name, content in contents.items():
            path = tmp_path / f"{name}.mp4"
            path.write_bytes(content)
            video = VideoReader(path)
            ends[name] = (sum(1 for _ in video), video.early_end())
        num, reason = ends.pop("cut")
        assert 5 < num < 20 and f"ends after {num} of the 20 frames" in reason
        assert ends == {"whole": (20, None), "trimmed": (10, None), "front": (20, None)}

    @pytest.mark.parametrize("num", [1, 3])
    def test_the_last_frames_of_an_mp4_are_missed(self, tmp_path, num):
        """Damaged ones look like the end; its index counts them, but trimmed ones, too."""
        whole = write_video(tmp_path / "whole.mp4", "mp4v", 20).read_bytes()
        lengths = unpack_from(">20I", whole, whole.index(b"stsz") + 16)
        end = whole.index(b"mdat") + 4 + sum(lengths)
        lost = sum(lengths[-num:])
        content = whole[: end - lost] + bytes(lost) + whole[end:]
        path, millis = tmp_path / "a.mp4", content.index(b"elst") + 12
        for shown, expected in ((2000, f"ends after {20 - num} of the 20 frames"), (1000, None)):
            path.write_bytes(content[:millis] + shown.to_bytes(4, "big") + content[millis + 4 :])
            video = VideoReader(path)
            assert sum(1 for _ in video) == (20 - num if expected else 10)
            assert (expected or "None") in str(video.early_end())

    @pytest.mark.parametrize("name, fourcc", [("a.mkv", "MJPG"), ("a.webm", "VP80")])
    def test_the_last_frames_of_a_webm_are_missed_if_it_is_cut_off(self, tmp_path, name, fourcc):
        """Its segment tells how long it is, unless a recorder did not know that yet."""
        path = write_video(tmp_path / name, fourcc, 20)
        content = bytearray(path.read_bytes())
        path.write_bytes(content[: int(len(content) * 0.9)])
        video = VideoReader(path)
        num = sum(1 for _ in video)
        assert 15 < num < 20 and f"ends after {num} of the 20 frames" in video.early_end()
        size = content.index(b"\x18\x53\x80\x67") + 4
        content[size : size + 8] = b"\x01" + b"\xff" * 7
        path.write_bytes(content[: int(len(content) * 0.9)])
        video = VideoReader(path)
        assert sum(1 for _ in video) == num and video.early_end() is None

    @pytest.mark.parametrize("more_s, is_early", [(0.3, False), (1.0, True), (None, False)])
    def test_sound_may_outlast_the_pictures_of_a_webm(self, tmp_path, more_s, is_early):
        """Its one duration is of both; a recorder that was never told to stop writes none."""
        path = write_video(tmp_path / "a.webm", "VP80", 10)
        content = bytearray(path.read_bytes())
        place = content.index(b"\x44\x89\x88")  # the element's id, and that it has 8 bytes
        if more_s is None:
            content[place : place + 3] = b"\xec\x80\xec"  # void elements
            content[place + 3] = 0x87
        else:
            millis = unpack_from(">d", content, place + 3)[0]
            pack_into(">d", content, place + 3, millis + 1000 * more_s)
        path.write_bytes(content)
        video = VideoReader(path)
        assert (more_s is None) == (video.num_promised == 0)
        assert sum(1 for _ in video) == 10 and (video.early_end() is not None) == is_early

    def test_a_damaged_frame_keeps_its_place(self, predict, tmp_path):
        path = write_video(tmp_path / "a.avi", "MJPG", 8)
        content = bytearray(path.read_bytes())
        start = content.index(b"00dc", len(content) // 2) + 8
        length = unpack_from("<I", content, start - 4)[0]
        content[start : start + length] = bytes(length)
        path.write_bytes(content)
        result, drawn, failures = predict(path)
        assert [len(frame["instances"]) for frame in result["frames"]].count(0) == 1
        assert len(result["frames"]) == 8 and "is damaged" in failures[0] and len(failures) == 1
        (index,) = [i for i, frame in enumerate(result["frames"]) if "failures" in frame]
        assert f"a.avi#{index}: " in failures[0]
        pictures = [drawn.read()[1] for _ in range(8)]
        assert pictures[index].max() < 10 < pictures[index + 1].max()

    @pytest.mark.parametrize("size_wh", [(63, 47), (64, 47), (63, 48)])
    def test_odd_sizes_lose_nothing(self, predict, tmp_path, size_wh):
        """OpenCV writes even sizes only, so the headers are changed: those of AVI and of JPEG."""
        path, (width, height) = write_video(tmp_path / "a.avi", "MJPG", 2), size_wh
        content = path.read_bytes().replace(pack("<2I", 64, 48), pack("<2I", width, height))
        path.write_bytes(content.replace(pack(">2H", 48, 64), pack(">2H", height, width)))
        assert VideoReader(path).size_wh == size_wh
        content, drawn, failures = predict(path)
        assert (content["meta"]["width"], content["meta"]["height"]) == size_wh and not failures
        assert drawn.read()[1].shape == (48, 64, 3)

    def test_a_prediction_fails_in_its_frame_only(self, predict, model, tmp_path, monkeypatch):
        path = write_video(tmp_path / "a.avi", "MJPG", 3)
        monkeypatch.setattr(model, "test_step", fails_for("a.avi#1")(model.test_step))
        content, _, failures = predict(path)
        assert [len(frame["instances"]) for frame in content["frames"]] == [1, 0, 1]
        assert failures == ["a.avi#1: RuntimeError: this one is too much"]
        assert content["frames"][1]["failures"] == failures

    def test_nothing_is_left_of_a_video_that_is_not_finished(self, model, cfg, tmp_path):
        path = write_video(tmp_path / "a.avi", "MJPG", 6)
        out_dir, writer = tmp_path / "out", PoseWriter(COCO.as_dict())
        frames = predict_video(model, cfg, path, whole_image, writer, out_dir, 1)
        assert next(frames) == 1
        frames.close()
        assert not list(out_dir.iterdir())
        assert not {t.name for t in threading.enumerate()} & {"ahead", "encode"}

    @pytest.mark.parametrize("save, name", [("json", "a.json"), ("picture", "a.mp4")])
    def test_what_is_not_asked_for_is_not_written(self, model, cfg, tmp_path, save, name):
        path = write_video(tmp_path / "a.avi", "MJPG", 2)
        out_dir, writer = tmp_path / "out", PoseWriter(COCO.as_dict(), save=[save])
        assert list(predict_video(model, cfg, path, whole_image, writer, out_dir, 1)) == [1, 2]
        assert [p.name for p in out_dir.iterdir()] == [name]

    def test_people_keep_their_ids_whatever_the_batches(self, model, cfg, tmp_path):
        """Two boxes that walk past each other, listed in turns; one is missing in a frame."""
        path = write_video(tmp_path / "a.avi", "MJPG", 8)
        boxes = {}
        for i in range(8):
            both = [[4 * i, 4, 4 * i + 20, 44], [44 - 4 * i, 14, 62 - 4 * i, 34]]
            boxes[f"a.avi#{i}"] = both[:1] if i == 5 else both[:: (-1) ** i]
        (tmp_path / "boxes.json").write_text(json.dumps(boxes))
        contents = []
        for batch_size in (1, 3, 8):
            out_dir, writer = tmp_path / f"out{batch_size}", PoseWriter(COCO.as_dict())
            source = BoxesFile(tmp_path / "boxes.json")
            list(predict_video(model, cfg, path, source, writer, out_dir, batch_size))
            contents.append(json.loads((out_dir / "a.json").read_text()))
        for content in contents:
            frames = content["frames"]
            assert [frame["frame_id"] for frame in frames] == list(range(8))
            assert [frame["time_s"] for frame in frames] == [i / 10 for i in range(8)]
            tall = [[p["track_id"] for p in f["instances"] if p["bbox"][1] == 4] for f in frames]
            small = [[p["track_id"] for p in f["instances"] if p["bbox"][1] == 14] for f in frames]
            assert tall == [[tall[0][0]]] * 8
            assert small == [[small[0][0]]] * 5 + [[]] + [[small[0][0]]] * 2 and small[0] != tall[0]

    def test_what_is_kept_of_a_frame_does_not_hold_its_batch(self, model, cfg, tmp_path):
        path, sizes = write_video(tmp_path / "a.avi", "MJPG", 8), []
        for batch_size in (1, 8):
            writer = PoseWriter(COCO.as_dict())
            with VideoReader(path) as video:
                words = (whole_image, writer, batch_size, True, InputImage(path, "a"), video)
                task = PeopleOfVideo(model, cfg, *words)
                prepared = task.predictor.prepare(task.source, video)
                rows = [task.show(found).row for found in task.predictor.predict(prepared)]
            sizes.append([len(pickle.dumps(row)) for row in rows])
        assert sizes[0] == sizes[1] and len(sizes[0]) == 8

    def test_smoothed_keypoints_move_less(self, model, cfg, tmp_path):
        path = write_video(tmp_path / "a.avi", "MJPG", 6)  # of noise: keypoints are anywhere
        found = []
        for smooth in (False, True):
            out_dir, writer = tmp_path / str(smooth), PoseWriter(COCO.as_dict(), kpt_thr=-99)
            list(predict_video(model, cfg, path, whole_image, writer, out_dir, 4, smooth))
            frames = json.loads((out_dir / "a.json").read_text())["frames"]
            found.append(np.array([frame["instances"][0]["keypoints"] for frame in frames]))
        np.testing.assert_array_equal(found[0][0], found[1][0])
        moves = [np.linalg.norm(np.diff(points, axis=0), axis=-1).mean() for points in found]
        assert 0 < moves[1] < moves[0]

    def test_boxes_fail_in_their_frame_only(self, predict, tmp_path):
        path = write_video(tmp_path / "a.avi", "MJPG", 3)
        boxes = {"a.avi#0": [[9, 9, 9, 9], [1, 2, 30, 40]], "a.avi#2": [[3, 4, 50, 40]]}
        (tmp_path / "boxes.json").write_text(json.dumps(boxes))
        content, _, failures = predict(path, BoxesFile(tmp_path / "boxes.json"))
        assert [[p["bbox"] for p in frame["instances"]] for frame in content["frames"]] == [
            [[1, 2, 30, 40]], [], [[3, 4, 50, 40]]
        ]  # fmt: skip
        assert "a.avi#0: the box (9, 9, 9, 9)" in failures[0]
        assert "has no boxes of 'a.avi#1'" in failures[1] and len(failures) == 2
        assert content["frames"][1]["failures"] == [failures[1]]


def fails_for(name, limit=None):
    """Makes a model's test_step fail if one of this name, or too many, are in the batch."""

    def wrap(test_step):
        def step(batch):
            if limit is not None and len(batch["inputs"]) > limit:
                raise MemoryError("too many at once")
            if any(str(sample.img_path).endswith(name) for sample in batch["data_samples"]):
                raise RuntimeError("this one is too much")
            return test_step(batch)

        return step

    return wrap


@pytest.mark.parametrize("limit", [None, 1])
def test_a_prediction_that_fails_does_not_stop_the_others(
    model, cfg, photos, boxes_file, monkeypatch, limit
):
    images = find_images(str(photos))
    source = BoxesFile(boxes_file)
    whole = list(predict_people(model, cfg, images, source, 8, 0))
    monkeypatch.setattr(model, "test_step", fails_for("b.jpg", limit)(model.test_step))
    found = list(predict_people(model, cfg, images, source, 8, 0))
    assert [item.image for item in found] == [item.image for item in whole]
    failures = {i.image.path.name: i.reason for i in found if isinstance(i, Failure)}
    assert set(failures) == {"b.jpg", "broken.jpg"}
    assert failures["b.jpg"] == "RuntimeError: this one is too much"
    assert len(found[0].sample.pred_instances.keypoints) == 2


def test_a_result_of_an_image_does_not_take_the_name_of_one_of_all(tmp_path):
    writer = PoseWriter(COCO.as_dict())
    images = [InputImage(tmp_path / "coco_results.jpg", "coco_results")]
    check_results(images, tmp_path / "out", writer.suffixes)
    with pytest.raises(ConfigError, match=r"coco_results.jpg: its result coco_results.json"):
        check_results(images, tmp_path / "out", writer.suffixes, (), writer.common)
    images = [InputImage(tmp_path / "sub/coco_results.jpg", "sub/coco_results")]
    check_results(images, tmp_path / "out", writer.suffixes, (), writer.common)
    with pytest.raises(ConfigError, match=r"keypoint_set.json is a file of the input"):
        boxes = [tmp_path / "keypoint_set.json"]
        check_results(images, tmp_path, writer.suffixes, boxes, writer.common)


def test_boxes_are_found_by_names_with_accents_however_they_are_written(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"e\u0301.jpg": [[0, 0, 4, 5]]}), encoding="utf-8-sig")
    assert len(BoxesFile(path)(np.zeros((9, 9, 3), np.uint8), "\u00e9.jpg")) == 1
