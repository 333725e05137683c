"""Videos of every task by the command line: pictures, files of frames, folders, second runs."""

import json
import signal
import sys
import threading
import time
from _thread import interrupt_main
from struct import pack

import cv2
import numpy as np
import pytest

from engine.errors import ConfigError
from engine.infer import InputImage, check_results
from engine.infer.video import VideoReader, VideoWriter
from engine.signals import INTERRUPTED_EXIT_CODE
from mmsapiens.cli import dispatch

PARTS = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
DEPTH = "depth/synthetic/sapiens_tiny_synthetic_depth-192x144"
NORMAL = "normal/synthetic/sapiens_tiny_synthetic_normal-192x144"
FEATURES = "pretrain/features/sapiens_tiny_features-256x256"
POSE = "pose/synthetic/sapiens_tiny_synthetic_coco-192x144"


def frame(i, size_hw=(48, 64)):
    """A smooth picture, of which a codec keeps what matters, and which moves."""
    y, x = np.mgrid[: size_hw[0], : size_hw[1]]
    waves = [np.sin(x / 9 + i / 3), np.cos(y / 7 - i / 4), np.sin((x + y) / 11 + i / 5)]
    return np.uint8(np.dstack(waves) * 90 + 128)


def write(path, num=5, size_hw=(48, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, size_hw[::-1])
    for i in range(num):
        video.write(frame(i, size_hw))
    video.release()
    return path


def read(path):
    with VideoReader(path) as video:
        frames = list(video)
        assert video.early_end() is None
    return frames


def times(out):
    """Files of results, without hidden ones, and when they were written."""
    files = (p for p in out.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {p.relative_to(out).as_posix(): p.stat().st_mtime_ns for p in files}


def with_words(command, *words):
    at = command.index("--cfg-options")
    return [*command[:at], *map(str, words), *command[at:]]


def coarse(picture):
    """Means of 4x4 pixels; a codec keeps no finer colours."""
    height, width = (side // 4 * 4 for side in picture.shape[:2])
    blocks = picture[:height, :width].reshape(height // 4, 4, width // 4, 4, 3)
    return blocks.mean(axis=(1, 3))


@pytest.fixture
def by_image(infer_command, tmp_path):
    """Runs the command on the frames of a video as images; returns the folder of results."""

    def run(config, video, *words, code=0):
        command, _ = infer_command(config, num=0)
        for number, _, pixels in read(video):
            path = tmp_path / f"frames/{number:06}.png"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), pixels)
        command[command.index("--input") + 1] = str(tmp_path / "frames")
        command[command.index("--output") + 1] = str(tmp_path / "by_image")
        assert dispatch(with_words(command, *words)) == code
        return tmp_path / "by_image"

    return run


@pytest.mark.parametrize("config", [PARTS, NORMAL, DEPTH])
def test_a_video_shows_the_pictures_of_its_frames(infer_command, by_image, tmp_path, config, capfd):
    command, out = infer_command(config, num=0)
    video = write(tmp_path / "in/a.avi")
    assert dispatch(with_words(command, "--batch-size", 2)) == 0
    assert "1 of 1 videos, 5 frames done" in capfd.readouterr().out
    assert sorted(times(out)) == ["a.json", "a.mp4"]
    drawn, expected = read(out / "a.mp4"), by_image(config, video)
    assert [f.time_s for f in drawn] == pytest.approx([i / 10 for i in range(5)], abs=1e-4)
    pictures = [coarse(cv2.imread(str(path))) for path in sorted(expected.glob("*.png"))]
    for number, _, pixels in drawn[: 1 if config == DEPTH else 5]:  # whose colours go on
        width = 16 if config == PARTS else pictures[0].shape[1]  # the legend is of all classes
        shown = coarse(pixels)[:, :width]
        differences = [np.abs(shown - picture[:, :width]).mean() for picture in pictures]
        assert np.argmin(differences) == number and differences[number] < 5, differences


def test_files_of_frames_are_those_of_images(infer_command, by_image, tmp_path):
    command, out = infer_command(PARTS, num=0)
    words = ["--save", "labels,probabilities", "--mask-format", "png"]
    video = write(tmp_path / "in/sub/a.avi", 3)
    assert dispatch(with_words(command, *words)) == 0
    expected = by_image(PARTS, video, *words)
    names = [f"{i:06}{end}" for i in range(3) for end in ("_prob.npy", "_seg.png")]
    assert sorted(times(expected)) == sorted(names)
    assert sorted(times(out)) == sorted(["sub/a.json", *(f"sub/a/{name}" for name in names)])
    for name in names:
        assert (out / "sub/a" / name).read_bytes() == (expected / name).read_bytes()
    content = json.loads((out / "sub/a.json").read_text())
    assert content["meta"] == {"video": "a.avi", "width": 64, "height": 48, "fps": 10}
    assert content["frames"] == [{"frame_id": i, "time_s": i / 10} for i in range(3)]


@pytest.mark.parametrize("config", [PARTS, NORMAL])
def test_people_of_frames_are_those_of_images(infer_command, by_image, tmp_path, config, capfd):
    """In batches over frames; a bad box, a frame without boxes and one with nobody among them."""
    command, out = infer_command(config, num=0)
    video = write(tmp_path / "in/a.avi", 5)
    rows = [[[2, 3, 30, 40], [20, 5, 60, 45, 0.5]], [[9, 9, 9, 9], [1, 1, 40, 40]], [], None]
    rows.append([[5, 2, 25, 44]])

    def boxes(name):
        named = {name.format(i): found for i, found in enumerate(rows) if found is not None}
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps(named))
        return ["--boxes", str(path), "--batch-size", "2", "--box-margin", "1.1"]

    saved = ["--save", "labels" if config == PARTS else "map"]
    assert dispatch(with_words(command, *saved, *boxes("a.avi#{}"))) == 1
    said = capfd.readouterr().err
    assert "a.avi#1: the box (9, 9, 9, 9)" in said and "has no boxes of 'a.avi#3'" in said
    frames = json.loads((out / "a.json").read_text())["frames"]
    assert ["failures" in row for row in frames] == [False, True, False, True, False]
    expected = by_image(config, video, *saved, *boxes("{:06}.png"), code=1)
    names = sorted(times(expected))
    assert sorted(times(out)) == sorted(["a.json", *(f"a/{name}" for name in names)])
    assert len(names) == 4
    for name in names:
        found = np.load(out / "a" / name)
        np.testing.assert_array_equal(found, np.load(expected / name))
        assert found.any() == (not name.startswith("000002"))


def test_masks_of_frames(infer_command, tmp_path, capfd):
    """Those that segmentation writes; one of them is missing."""
    command, out = infer_command(NORMAL, num=0)
    write(tmp_path / "in/a.avi", 3)
    half = np.repeat([[True, False]], (32, 32), axis=1).repeat(48, axis=0)
    (tmp_path / "masks/a").mkdir(parents=True)
    for i in (0, 2):
        np.save(tmp_path / f"masks/a/{i:06}.npy", half if i else ~half)
    assert dispatch(with_words(command, "--seg-dir", tmp_path / "masks")) == 1
    assert "a.avi#1: DataError: no mask" in capfd.readouterr().err
    drawn = [pixels[:, -64:] for _, _, pixels in read(out / "a.mp4")]
    black = [(coarse(pixels) < 9).all(axis=2) for pixels in drawn]
    assert black[1].all()
    for found, inside in ((black[0], ~half), (black[2], half)):
        np.testing.assert_array_equal(found, ~inside[::4, ::4])


def test_a_varying_frame_rate_keeps_its_times(infer_command, tmp_path):
    pytest.importorskip("av", reason="OpenCV writes steady rates only; needs mmsapiens[video]")
    command, out = infer_command(DEPTH, num=0)
    shown = [0.0, 0.1, 0.15, 0.4, 0.41, 0.9]
    with VideoWriter(tmp_path / "in/a.mp4", 6.0) as video:
        for i, time_s in enumerate(shown):
            video.write(frame(i), time_s)
    assert dispatch(command) == 0
    frames = json.loads((out / "a.json").read_text())["frames"]
    assert [f["time_s"] for f in frames] == pytest.approx(shown, abs=1e-4)
    assert [f.time_s for f in read(out / "a.mp4")] == pytest.approx(shown, abs=1e-4)


def test_odd_sizes_are_padded_and_said(infer_command, tmp_path, monkeypatch, capfd):
    """OpenCV writes even sizes only, so the headers are changed: those of AVI and of JPEG."""
    monkeypatch.setitem(sys.modules, "av", None)
    command, out = infer_command(NORMAL, num=0)
    path = write(tmp_path / "in/a.avi", 2)
    content = path.read_bytes().replace(pack("<2I", 64, 48), pack("<2I", 63, 47))
    path.write_bytes(content.replace(pack(">2H", 48, 64), pack(">2H", 47, 63)))
    assert dispatch(with_words(command, "--save", "picture,map")) == 0
    said = capfd.readouterr().err
    assert "frames of 126x47 (width x height) are written as 126x48" in said
    assert "mmsapiens[video]" in said
    assert [f.pixels.shape for f in read(out / "a.mp4")] == [(48, 126, 3)] * 2
    assert np.load(out / "a/000001.npy").shape == (47, 63, 3)


def test_a_folder_of_videos_and_images(infer_command, tmp_path, capfd):
    command, out = infer_command(PARTS, num=2)
    broken = tmp_path / "in/b.mp4"
    for name in ("a.avi", "sub/c.avi"):
        write(tmp_path / "in" / name, 3)
    broken.write_bytes(b"nothing")
    assert dispatch(command) == 1
    said = capfd.readouterr()
    assert "2 of 2 images, 2 of 3 videos, 6 frames done" in said.out
    assert f"failed: {broken}: DataError" in said.err
    before = times(out)
    of_images = [f"0{i}{end}" for i in range(2) for end in ("_seg.npy", ".npy", ".png")]
    of_videos = ["a.json", "a.mp4", "sub/c.json", "sub/c.mp4"]
    assert sorted(before) == sorted([*of_images, *of_videos])

    assert dispatch(command) == 1 and times(out) == before
    said = capfd.readouterr()
    assert "2 of 3 videos are done already" in said.err and str(broken) in said.err
    broken.unlink()
    assert dispatch(command) == 0 and times(out) == before
    assert "2 of 2 images, 2 of 2 videos done" in capfd.readouterr().out
    write(tmp_path / "in/a.avi", 4)
    assert dispatch(command) == 0
    assert {k for k, v in times(out).items() if v != before[k]} == {"a.json", "a.mp4"}


def test_what_of_a_video_is_missing_is_done_again(infer_command, tmp_path):
    command, out = infer_command(DEPTH, num=0)
    command = with_words(command, "--save", "map,picture")
    for name in ("a.avi", "b.avi"):
        write(tmp_path / "in" / name, 3)
    for lost in ("a/000001.npy", "a.json", "a.mp4"):
        assert dispatch(command) == 0
        before = times(out)
        (out / lost).unlink()
        assert dispatch(command) == 0
        assert {k[0] for k, v in times(out).items() if v != before[k]} == {"a"}
        assert set(times(out)) == set(before)


def test_a_video_that_ends_early_is_not_done(infer_command, tmp_path, capfd):
    """Its results are there, newer than the video; the second run says again what is wrong."""
    command, out = infer_command(DEPTH, num=0)
    path = write(tmp_path / "in/a.avi", 20)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        assert dispatch(command) == 1
        said = capfd.readouterr()
        assert "a.avi: ends after" in said.err and "0 of 1 videos" in said.out
        assert 5 < len(json.loads((out / "a.json").read_text())["frames"]) < 15
    path.write_bytes(whole)
    assert dispatch(command) == 0 and dispatch(command) == 0
    assert "1 of 1 videos are done already" in capfd.readouterr().err


def test_damaged_frames_are_black_and_named(infer_command, tmp_path, capfd):
    command, out = infer_command(NORMAL, num=0)
    path = write(tmp_path / "in/a.avi", 4)
    content = bytearray(path.read_bytes())
    start = content.index(b"movi")
    for index in range(4):
        start = content.index(b"00dc", start) + 8
        if index in (0, 2):  # the first, whose picture's size nobody knows yet
            length = int.from_bytes(content[start - 4 : start], "little")
            content[start : start + length] = bytes(length)
    path.write_bytes(content)
    assert dispatch(with_words(command, "--batch-size", 4, "--save", "picture,map")) == 1
    said = capfd.readouterr().err
    assert "a.avi#0: it is damaged" in said and "a.avi#2: it is damaged" in said
    frames = json.loads((out / "a.json").read_text())["frames"]
    assert ["failures" in row for row in frames] == [True, False, True, False]
    assert sorted(p.name for p in (out / "a").iterdir()) == ["000001.npy", "000003.npy"]
    black = [f.pixels.max() < 20 for f in read(out / "a.mp4")]
    assert black == [True, False, True, False]


def test_shares_are_of_whole_videos(infer_command, tmp_path, capfd):
    command, out = infer_command(DEPTH, num=0)
    for name in ("a.avi", "b.avi", "c.avi"):
        write(tmp_path / "in" / name, 2)
    assert dispatch(with_words(command, "--shard", "2/2")) == 0
    assert sorted(times(out)) == ["c.json", "c.mp4"]
    assert dispatch(with_words(command, "--shard", "1/2")) == 0
    assert "2 of 2 videos, 4 frames done" in capfd.readouterr().out
    assert dispatch(command) == 0
    assert "3 of 3 videos are done already" in capfd.readouterr().err


def test_features_of_a_video_are_written_when_asked_for(infer_command, tmp_path):
    command, out = infer_command(FEATURES, num=0)
    write(tmp_path / "in/a.avi", 2)
    with pytest.raises(ConfigError, match=r"no picture of their own.*--save features"):
        dispatch(command)
    assert not times(out)
    assert dispatch(with_words(command, "--save", "features")) == 0
    assert sorted(times(out)) == ["a.json", "a/000000.npy", "a/000001.npy"]
    assert dispatch([*command, "model.attention_query=centre"]) == 0
    assert len(read(out / "a.mp4")) == 2


def test_people_of_a_folder(infer_command, tmp_path, capfd):
    """Boxes of a frame are found by the video's path below the input."""
    command, out = infer_command(POSE, num=1)
    for name in ("a.avi", "sub/a.avi"):
        write(tmp_path / "in" / name, 2)
    boxes = {"00.png": [[0, 0, 40, 60]], "a.avi#0": [[0, 0, 40, 40]], "a.avi#1": []}
    boxes |= {f"sub/a.avi#{i}": [[1, 2, 30, 40], [20, 0, 60, 48]] for i in range(2)}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    command = with_words(command, "--boxes", tmp_path / "boxes.json", "--smooth")
    assert dispatch(command) == 0
    assert "1 of 1 images, 2 of 2 videos, 4 frames done" in capfd.readouterr().out
    nums = [
        [len(row["instances"]) for row in json.loads((out / name).read_text())["frames"]]
        for name in ("a.json", "sub/a.json")
    ]
    assert nums == [[1, 0], [2, 2]]
    before = times(out)
    assert set(before) == {"00.json", "00.jpg", "coco_results.json", "keypoint_set.json"} | {
        f"{stem}{suffix}" for stem in ("a", "sub/a") for suffix in (".json", ".mp4")
    }
    assert dispatch(command) == 0
    changed = {k for k, v in times(out).items() if v != before[k]}
    assert changed <= {"coco_results.json", "keypoint_set.json"}
    command.remove("--smooth")
    assert dispatch(command) == 0 and times(out)["a.json"] != before["a.json"]


def test_inputs_that_differ_in_their_suffix_keep_it(infer_command, tmp_path):
    command, out = infer_command(PARTS, num=1)
    write(tmp_path / "in/00.avi", 2)
    assert dispatch(with_words(command, "--save", "labels")) == 0
    names = ["00.avi.json", "00.avi/000000_seg.npy", "00.avi/000001_seg.npy", "00.png_seg.npy"]
    assert sorted(times(out)) == names


def test_two_inputs_with_one_name_are_refused(tmp_path):
    video = write(tmp_path / "a.avi", 1)
    inputs = [InputImage(tmp_path / "a.jpg", "a"), InputImage(video, "a")]
    words = (tmp_path / "out", (".json", ".jpg"), [], [])
    check_results(inputs, *words, of_videos=(".mp4",))
    with pytest.raises(ConfigError, match=r"a\.jpg and .*a\.avi would both write a\.json"):
        check_results(inputs, *words, of_videos=(".json", ".mp4"))


def test_files_of_frames_do_not_take_the_place_of_others(infer_command, tmp_path):
    command, out = infer_command(PARTS, num=0)
    write(tmp_path / "in/a.avi", 2)
    (tmp_path / "in/a").mkdir()
    cv2.imwrite(str(tmp_path / "in/a/000000.png"), frame(0))
    with pytest.raises(ConfigError, match=r"would both write into a/"):
        dispatch(with_words(command, "--save", "labels"))
    assert dispatch(command) == 0
    assert {"a.mp4", "a/000000_seg.npy"} <= set(times(out))


@pytest.mark.parametrize(
    ("config", "words", "message"),
    [
        (PARTS, ["--picture-format", "jpg"], "--picture-format is for images"),
        (POSE, ["--picture-format", "jpg"], "--picture-format is for images"),
        (PARTS, ["--mask-format", "png"], "--mask-format: of a video, .* if --save says so"),
        (POSE, ["--annotations", "a.json"], "--annotations holds the ids of images"),
        (DEPTH, ["--smooth"], "--smooth is for people in a video"),
        (DEPTH, ["--show-ids"], "--show-ids: DepthWriter has no such option"),
    ],
)
def test_options_without_effect_are_refused(infer_command, tmp_path, config, words, message):
    command, out = infer_command(config, num=0)
    write(tmp_path / "in/a.avi", 1)
    words = [word.format(tmp_path=tmp_path) for word in words]
    with pytest.raises(ConfigError, match=message):
        dispatch(with_words(command, *words))
    assert not out.exists()


def test_ctrl_c_leaves_what_is_complete(infer_command, tmp_path, capfd):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as a shell starts a command
    command, out = infer_command(PARTS, num=0)
    write(tmp_path / "in/a.avi", 2)
    write(tmp_path / "in/b.avi", 600)
    command = with_words(command, "--save", "labels,picture")

    def interrupt():
        while not (out / "b/000004_seg.npy").exists() and thread.is_alive():
            time.sleep(0.01)
        interrupt_main()

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    assert dispatch(command) == INTERRUPTED_EXIT_CODE
    said = capfd.readouterr()
    assert "Interrupted. The same command does the rest." in said.err
    assert "1 of 2 videos" in said.out and "Traceback" not in said.err
    left = times(out)
    assert {"a.json", "a.mp4", "a/000001_seg.npy"} <= set(left)
    assert not {"b.json", "b.mp4"} & set(left) and 4 < len(left) < 600
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == [".mmsapiens.json"]
    assert not {t.name for t in threading.enumerate()} & {"ahead", "encode"}
    write(tmp_path / "in/b.avi", 2)
    assert dispatch(command) == 0
    after = times(out)
    assert after["a.mp4"] == left["a.mp4"] and "b.mp4" in after
