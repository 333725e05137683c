"""Damaged videos: refused in a sentence, or read as far as they go, in frames whose times rise.

What a codec makes of changed bits is a picture like any other, so that pixels are not compared.
"""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest

from engine.infer.video import VideoReader
from tests.fuzz.mutants import BAD_ENDS, damage_bytes, outcomes, summary

MOST_FRAMES = 300


@pytest.fixture(scope="module", params=[("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.webm", "VP80")])
def video(request, tmp_path_factory):
    """The path of a video of eight frames."""
    name, fourcc = request.param
    path = tmp_path_factory.mktemp("video") / name
    rng = np.random.default_rng(0)
    file = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 10, (64, 48))
    for _ in range(8):
        file.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    file.release()
    return path


def read(path):
    last = -1.0
    with VideoReader(path) as video:
        for number, frame in zip(range(MOST_FRAMES), video, strict=False):
            assert frame.number == number and np.isfinite(frame.time_s) and frame.time_s > last
            assert frame.pixels is None or frame.pixels.shape[1::-1] == video.size_wh
            last = frame.time_s
        return f"{video.num_read} frames, {video.early_end()}"


def test_damaged_videos(video, tmp_path, pytestconfig):
    rng = random.Random(0)
    cases = []
    for i in range(pytestconfig.getoption("--fuzz")):
        what, content = damage_bytes(video.read_bytes(), rng)
        path = tmp_path / f"{i}{video.suffix}"
        path.write_bytes(content)
        cases.append((what, lambda path=path: read(path)))
    results = outcomes(cases, seconds=30)
    bad = [result for result in results if result.end in BAD_ENDS]
    assert not bad, f"{summary(results)}\n{bad[0].name}\n{bad[0].text}"
    assert {result.end for result in results} <= {"refused", "accepted"}
