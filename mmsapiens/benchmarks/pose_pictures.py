"""What people cost in a 4K picture: cutting one out of its JPEG, and drawing five."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import Compose
from numpy.typing import NDArray

from mmsapiens.benchmarks.timing import best_seconds
from mmsapiens.synthetic import keypoints_of, render, sample_group
from pose.drawing import Pen, draw_openpose, draw_people
from pose.metainfo import PoseMetainfo

SIZE_HW = (2160, 3840)
_SCALE = 8  # people are rendered at an eighth of the size, and enlarged
_BOX_XYXY = (1200.0, 60.0, 2600.0, 2100.0)


def measure(
    metainfo: PoseMetainfo, input_size_hw: tuple[int, int], rounds: int
) -> dict[str, float]:
    """Times cutting a person out of a 4K JPEG, decoded reduced or in full, and drawing five.

    Returns:
        Seconds on one CPU thread, by what was done; the best of all rounds.
    """
    size_hw = (SIZE_HW[0] // _SCALE, SIZE_HW[1] // _SCALE)
    picture = render(sample_group(np.random.default_rng(0), 5), size_hw)
    image = cv2.resize(picture.image, SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC)
    points = np.stack([keypoints_of(picture, metainfo.keypoints, i) for i in range(5)])
    keypoints, scores = points[..., :2] * _SCALE, np.ones(points.shape[:2])
    drawn = keypoints, scores, metainfo, Pen()
    person = "cut out a person, {}x{}".format(*input_size_hw)
    people = f"draw five people, {len(metainfo.keypoints)} keypoints"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "4k.jpg"
        cv2.imwrite(str(path), image)
        tasks = {
            f"{person}, decoding reduced": _cut(path, input_size_hw, reduce=True),
            "the same, decoding in full": _cut(path, input_size_hw, reduce=False),
            people: lambda: draw_people(image, *drawn),
            "the same, as OpenPose": lambda: draw_openpose(SIZE_HW, *drawn),
        }
        return best_seconds(tasks, rounds)


def _cut(path: Path, input_size_hw: tuple[int, int], reduce: bool) -> Callable[[], NDArray]:
    pipeline = Compose(
        [
            {"type": "LoadImage", "reduce": reduce},
            {"type": "GetBBoxCenterScale", "padding": 1.25},
            {"type": "TopdownAffine", "size_hw": input_size_hw},
            {"type": "Warp"},
        ]
    )
    record = {"img_path": str(path), "bbox": np.array([_BOX_XYXY], np.float32), "metainfo": {}}
    return lambda: pipeline({**record, "rng": np.random.default_rng(0)})["img"]
