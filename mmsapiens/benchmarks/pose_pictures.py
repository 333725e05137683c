"""What people cost in a 4K picture: cutting one out of its JPEG, and drawing five."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import Compose
from numpy.typing import NDArray

from mmsapiens.benchmarks.data import single_threaded
from mmsapiens.synthetic import keypoints_of, render, sample_group
from pose.drawing import Pen, draw_openpose, draw_people
from pose.metainfo import PoseMetainfo

SIZE_HW = (2160, 3840)
_SCALE = 8  # people are rendered at an eighth of the size, and enlarged
_BOX_XYXY = (1200.0, 60.0, 2600.0, 2100.0)


@dataclass(frozen=True)
class PictureTiming:
    """Seconds on one CPU thread; the best of all rounds."""

    crop: float
    crop_full: float
    draw: float
    draw_openpose: float


def measure(metainfo: PoseMetainfo, input_size_hw: tuple[int, int], rounds: int) -> PictureTiming:
    """Times cutting a person out of a 4K JPEG, decoded reduced or in full, and drawing five."""
    size_hw = (SIZE_HW[0] // _SCALE, SIZE_HW[1] // _SCALE)
    picture = render(sample_group(np.random.default_rng(0), 5), size_hw)
    image = cv2.resize(picture.image, SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC)
    people = np.stack([keypoints_of(picture, metainfo.keypoints, i) for i in range(5)])
    keypoints, scores = people[..., :2] * _SCALE, np.ones(people.shape[:2])
    pen = Pen()
    with tempfile.TemporaryDirectory() as folder, single_threaded():
        path = Path(folder) / "4k.jpg"
        cv2.imwrite(str(path), image)
        return PictureTiming(
            crop=_best(_cut(path, input_size_hw, reduce=True), rounds),
            crop_full=_best(_cut(path, input_size_hw, reduce=False), rounds),
            draw=_best(lambda: draw_people(image, keypoints, scores, metainfo, pen), rounds),
            draw_openpose=_best(
                lambda: draw_openpose(SIZE_HW, keypoints, scores, metainfo, pen), rounds
            ),
        )


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


def _best(task: Callable[[], object], rounds: int) -> float:
    task()  # so that the timed calls find memory that the system has at hand
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
