"""People of several images share batches; what fails is left out, and nothing piles up."""

from pathlib import Path

import numpy as np
import pytest

from engine.infer import Failure, InputImage
from engine.infer.people import boxes_within, predict_cut_images


def images_of(nums):
    """Images that say by their first pixel how many people they show."""
    return [
        InputImage(Path(f"{i}.png"), str(i), np.full((4, 4, 3), num, np.uint8))
        for i, num in enumerate(nums)
    ]


class Recorder:
    """Cuts people out, who are their image's name, and predicts them; notes both."""

    def __init__(self, fails_of=()):
        self.fails_of = fails_of
        self.cuts, self.batches = [], []

    def cut(self, pixels, image):
        self.cuts.append(image.path.stem)
        if pixels[0, 0, 0] == 99:
            raise ValueError("no detector")
        bad = ["a bad box"] if pixels[0, 0, 0] == 3 else []
        return [image.path.stem] * int(pixels[0, 0, 0]), bad

    def predict(self, images, batch_size):
        self.batches.append([len(people) for people in images])
        if any(name in self.fails_of for people in images for name in people):
            raise RuntimeError("too much")
        return ["".join(people) for people in images]

    def run(self, nums, batch_size):
        for item in predict_cut_images(images_of(nums), self.cut, self.predict, batch_size, 0):
            if isinstance(item, Failure):
                yield item.image.path.stem, item.reason
            else:
                yield item[0].image.path.stem, item[1]


def test_people_of_several_images_share_a_batch():
    recorder = Recorder()
    found = list(recorder.run([0, 1, 3, 0, 1], batch_size=2))
    bad = ("2", "a bad box")
    assert found == [("0", ""), ("1", "1"), bad, ("2", "222"), ("3", ""), ("4", "4")]
    assert recorder.batches[:3] == [[0, 1], [3], [0, 1]]


def test_images_without_people_do_not_pile_up():
    """A folder of landscapes would fill the memory."""
    recorder = Recorder()
    assert next(recorder.run([0] * 50, batch_size=4)) == ("0", "")
    assert len(recorder.cuts) == 4


@pytest.mark.parametrize("batch_size", [1, 8])
def test_what_fails_is_left_out(batch_size):
    found = list(Recorder(fails_of=("2",)).run([1, 99, 3, 2, 1], batch_size))
    assert found == [
        ("0", "0"),
        ("1", "ValueError: no detector"),
        ("2", "a bad box"),
        ("2", "RuntimeError: too much"),
        ("3", "33"),
        ("4", "4"),
    ]


def test_boxes_without_an_area_in_the_image():
    rows = [[1, 2, 3, 4, 1], [9, 0, 12, 4, 0.5], [3, 3, 3, 5, 1], [0, 0, 2, np.nan, 1]]
    good, bad = boxes_within(np.float32(rows), (6, 9), "a.png")
    assert good.tolist() == [rows[0]] and len(bad) == 3
    assert bad[0].startswith("a.png: the box (9, 0, 12, 4), x1, y1, x2, y2, with score 0.5 has no")
    assert "image of 9x6 (width x height)" in bad[0]
