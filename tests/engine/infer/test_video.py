import sys
import threading
from struct import unpack_from

import cv2
import numpy as np
import pytest

from engine.errors import DataError, OutputError
from engine.infer.video import VideoReader, VideoWriter, is_video
from engine.infer.video import writer as writer_module

IRREGULAR = [0.0, 0.1, 0.15, 0.4, 0.41, 0.9, 1.0, 1.02]


@pytest.fixture(params=["pyav", "opencv"])
def encoder(request, monkeypatch):
    if request.param == "opencv":
        monkeypatch.setitem(sys.modules, "av", None)
    else:
        pytest.importorskip("av", reason="needs the extra mmsapiens[video]")
    return request.param


def grey(value, size_hw=(48, 64)):
    return np.full((*size_hw, 3), value, np.uint8)


def write(path, times, size_hw=(48, 64), fps=10.0):
    """Frames that get brighter; returns what is said."""
    said = []
    with VideoWriter(path, fps, said.append) as video:
        for i, time_s in enumerate(times):
            video.write(grey(20 * i % 256, size_hw), time_s)
    return said


def read(path):
    with VideoReader(path) as video:
        frames = list(video)
        assert video.early_end() is None and video.num_read == len(frames)
    return frames


def alive():
    return {thread.name for thread in threading.enumerate()} & {"ahead", "encode"}


class TestReader:
    def test_frames_have_the_times_of_the_file(self, tmp_path):
        pytest.importorskip("av", reason="needs the extra mmsapiens[video]")
        path = tmp_path / "a.mp4"
        write(path, IRREGULAR)
        frames = read(path)
        assert [frame.number for frame in frames] == list(range(8))
        np.testing.assert_allclose([frame.time_s for frame in frames], IRREGULAR, atol=1e-4)
        values = [frame.pixels.mean() for frame in frames]
        np.testing.assert_allclose(values, np.arange(8) * 20, atol=5)

    def test_frames_are_turned_as_the_file_says(self, tmp_path):
        av = pytest.importorskip("av", reason="needs the extra mmsapiens[video]")
        path, picture = tmp_path / "a.mp4", grey(0)
        picture[:8] = 255  # the top, which a quarter turn counter-clockwise takes to the left
        with av.open(str(path), "w") as file:
            stream = file.add_stream("libx264", 10)
            stream.width, stream.height = 64, 48
            stream.set_display_rotation(90)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            file.mux(stream.encode(None))
        (frame,) = read(path)
        assert VideoReader(path).size_wh == (48, 64) and frame.pixels.shape == (64, 48, 3)
        assert frame.pixels[:, :6].min() > 200 and frame.pixels[:, 12:].max() < 50

    def test_leaving_early_ends_the_thread(self, tmp_path):
        path = tmp_path / "a.mp4"
        write(path, np.arange(30) / 10)
        with VideoReader(path, ahead=2) as video:
            assert next(iter(video)).number == 0
        assert not alive() and video.num_read < 30
        with pytest.raises(KeyError), VideoReader(path) as video:
            raise KeyError
        assert not alive()

    def test_what_is_no_video_is_an_error(self, tmp_path):
        path = tmp_path / "a.mp4"
        path.write_bytes(b"nothing")
        assert is_video(path) and not is_video("photos/a.jpg")
        with pytest.raises(DataError, match="not a video"):
            VideoReader(path)

    def test_damaged_frames_are_between_their_neighbours_in_time(self, tmp_path):
        path = tmp_path / "a.avi"
        video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
        for value in range(8):
            video.write(grey(30 * value))
        video.release()
        content = bytearray(path.read_bytes())
        start = content.index(b"movi")
        for index in range(6):  # the third and the fourth
            start = content.index(b"00dc", start) + 8
            (length,) = unpack_from("<I", content, start - 4)
            if index in (2, 3):
                content[start : start + length] = bytes(length)
        path.write_bytes(content)
        frames = read(path)
        assert [frame.pixels is None for frame in frames] == [i in (2, 3) for i in range(8)]
        np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(8) / 10, atol=1e-6)


class TestWriter:
    def test_what_is_written_is_read(self, encoder, tmp_path):
        path, times = tmp_path / "a.mp4", np.arange(8) / 10
        said = write(path, times)
        assert len(said) == (encoder == "opencv") and all("mmsapiens[video]" in s for s in said)
        frames = read(path)
        np.testing.assert_allclose(
            [frame.pixels.mean() for frame in frames], 20 * np.arange(8), atol=5
        )
        np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=1e-4)
        assert VideoReader(path).fps == pytest.approx(10, rel=0.02)
        assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"] and not alive()

    def test_h264_is_what_browsers_show(self, tmp_path):
        av = pytest.importorskip("av", reason="needs the extra mmsapiens[video]")
        write(tmp_path / "a.mp4", np.arange(4) / 10)
        with av.open(str(tmp_path / "a.mp4")) as file:
            (stream,) = file.streams  # no sound
            assert (stream.codec_context.name, stream.format.name) == ("h264", "yuv420p")

    def test_irregular_times_are_kept_or_it_is_said_that_they_are_not(self, encoder, tmp_path):
        said = write(tmp_path / "a.mp4", IRREGULAR, fps=8 / 1.05)
        times = [frame.time_s for frame in read(tmp_path / "a.mp4")]
        if encoder == "pyav":
            np.testing.assert_allclose(times, IRREGULAR, atol=1e-4)
            assert not said
        else:
            np.testing.assert_allclose(times, np.arange(8) * 1.05 / 8, atol=2e-3)
            assert ["frame rate varies" in sentence for sentence in said] == [False, True]

    @pytest.mark.parametrize("size_hw", [(47, 63), (48, 63), (47, 64)])
    def test_odd_sizes_are_padded_and_said_once(self, encoder, tmp_path, size_hw):
        said = write(tmp_path / "a.mp4", [0, 0.1, 0.2], size_hw)
        height, width = size_hw
        (sentence,) = [s for s in said if "even sizes" in s]
        assert f"{width}x{height} (width x height) are written as 64x48" in sentence
        last = read(tmp_path / "a.mp4")[-1].pixels
        assert last.shape == (48, 64, 3) and abs(last.astype(int) - 40).max() < 6

    def test_a_failure_leaves_what_was_there(self, encoder, tmp_path):
        path = tmp_path / "a.mp4"
        path.write_bytes(b"of an earlier run")
        with pytest.raises(KeyboardInterrupt), VideoWriter(path, 10, [].append) as video:
            video.write(grey(9), 0)
            raise KeyboardInterrupt
        writer, refused = VideoWriter(path, 10, [].append), "64x50 after one of 64x48"
        with pytest.raises(OutputError, match=refused), writer as video:
            video.write(grey(9), 0)
            video.write(grey(9, (50, 64)), 0.1)
        assert path.read_bytes() == b"of an earlier run"
        assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"] and not alive()

    def test_no_frames_are_no_file(self, encoder, tmp_path):
        assert not write(tmp_path / "a.mp4", [])
        assert not list(tmp_path.iterdir())

    def test_an_error_of_the_thread_is_raised(self, encoder, tmp_path):
        path = tmp_path / "nowhere" / "a.mp4"
        writer = VideoWriter(path, 10, [].append)
        with pytest.raises(OutputError, match=r"a.mp4 cannot be written"), writer as video:
            for i in range(20):  # more than may wait
                video.write(grey(i), i / 10)
        assert not alive()

    def test_outside_of_its_context_it_writes_nothing(self, tmp_path):
        writer = VideoWriter(tmp_path / "a.mp4", 10)
        with pytest.raises(RuntimeError, match="within a with statement"):
            writer.write(grey(9), 0)

    def test_an_error_at_the_end_is_raised(self, encoder, tmp_path, monkeypatch):
        kind = writer_module._H264 if encoder == "pyav" else writer_module._Mpeg4
        close = kind.close

        def fail(self):
            close(self)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(kind, "close", fail)
        with pytest.raises(OutputError, match="No space left"):
            write(tmp_path / "a.mp4", [0, 0.1])
        assert not list(tmp_path.iterdir()) and not alive()

    def test_a_pyav_without_the_encoder_is_as_none(self, tmp_path, monkeypatch):
        pytest.importorskip("av", reason="needs the extra mmsapiens[video]")
        monkeypatch.setattr(writer_module, "_CODEC", "nothing264")
        (sentence,) = write(tmp_path / "a.mp4", [0, 0.1])
        assert "by OpenCV" in sentence and len(read(tmp_path / "a.mp4")) == 2
