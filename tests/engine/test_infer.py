"""Which images --input names, and that one of them which fails leaves the others alone."""

import unicodedata
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from engine.data.integrity import LIMIT_VARIABLE
from engine.errors import ConfigError, DataError
from engine.infer import Failure, find_images, predict_images
from engine.infer.inputs import check_out_dir
from engine.model.base import BaseModel

PIPELINE = [
    {"type": "LoadImage"},
    {"type": "Resize", "size_hw": (8, 8)},
    {"type": "Warp"},
    {"type": "PackInputs"},
]
CFG = Config({"test_dataloader": {"dataset": {"pipeline": PIPELINE}}})


class Fragile(BaseModel):
    """Predicts the mean of an image; fails of some names, and of more images than a limit."""

    def __init__(self, fails_of=(), most=99):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.fails_of = fails_of
        self.most = most

    def predict(self, inputs, data_samples=None):
        for sample, image in zip(data_samples, inputs, strict=True):
            sample.mean = float(image.mean())  # also of those of a batch that fails
            if sample.img_path.endswith(self.fails_of):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 TiB")
        if len(inputs) > self.most:
            raise MemoryError
        return data_samples


@pytest.fixture
def photos(tmp_path):
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((20, 30, 3), 40 * i, np.uint8))
    return tmp_path


@pytest.mark.parametrize("model", [Fragile(("1.png", "4.png")), Fragile(("1.png", "4.png"), 1)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_predictions_that_fail_are_failures_of_their_images(photos, model, batch_size):
    images = find_images(str(photos))
    results = list(predict_images(model, CFG, images, batch_size, num_workers=0))
    reasons = {r.image.path.name: r.reason for r in results if isinstance(r, Failure)}
    assert set(reasons) == {"1.png", "4.png"}
    assert reasons["1.png"].startswith("OutOfMemoryError: CUDA out of memory")
    done = {r[0].path.name: r[1].mean for r in results if not isinstance(r, Failure)}
    alone = {
        image.path.name: sample.mean
        for image, sample, _ in predict_images(Fragile(), CFG, images, 1, num_workers=0)
    }
    assert done == {name: alone[name] for name in ("0.png", "2.png", "3.png")}


def test_an_image_of_too_many_pixels_is_a_failure(photos, monkeypatch):
    cv2.imwrite(str(photos / "large.png"), np.zeros((40, 40, 3), np.uint8))
    monkeypatch.setenv(LIMIT_VARIABLE, "600")
    results = list(predict_images(Fragile(), CFG, find_images(str(photos)), 4, num_workers=1))
    (failure,) = (result for result in results if isinstance(result, Failure))
    assert failure.image.path.name == "large.png" and "40x40" in failure.reason
    assert len(results) == 6


def names(images):
    return [(image.path.name, image.out_stem) for image in images]


def test_linked_folders_are_searched_once_round(photos, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "photos").symlink_to(photos)
    (photos / "back").symlink_to(root)
    (root / "gone.png").symlink_to(root / "nowhere.png")
    expected = [(f"{i}.png", f"photos/{i}") for i in range(5)]
    assert names(find_images(str(root))) == expected
    assert [name for name, _ in names(find_images(f"{root}/**/*.png"))] == [n for n, _ in expected]


def test_an_empty_input_is_not_the_folder_where_we_are(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert len(find_images(".")) == 5
    with pytest.raises(DataError, match="--input '': no images found"):
        find_images("")


def test_lists_of_windows_and_macos(photos):
    name = unicodedata.normalize("NFD", "é.png")
    (photos / "0.png").rename(photos / name)
    (photos / "list.txt").write_text("\ufeff1.png\r\n\u00e9.png\r\n", encoding="utf-8")
    found = find_images(str(photos / "list.txt"))
    assert [image.path.name for image in found] == ["1.png", name]
    assert all(image.path.is_file() for image in found)


def test_results_of_an_earlier_run_are_no_input_unless_they_are_all_there_is(photos):
    before = find_images(str(photos))
    results = photos / "results"
    results.mkdir()
    (results / "earlier.png").touch()
    assert find_images(str(photos), results) == before
    assert len(find_images(str(photos), photos)) == len(before) + 1, "into the same folder"


@pytest.mark.parametrize(
    ("source", "suffixes", "is_taken"),
    [
        (".", (".npy", ".jpg"), True),
        (".", (".npy", ".json"), False),
        ("*", (".jpg",), True),
        ("*.png", (".jpg",), False),
        ("list.txt", (".jpg",), False),
        ("0.png", (".jpg",), False),
    ],
)
def test_pictures_among_the_images_would_be_input_of_the_next_run(
    photos, monkeypatch, source, suffixes, is_taken
):
    monkeypatch.chdir(photos)
    (photos / "list.txt").write_text("0.png\n1.png\n")
    images = find_images(source, ".")
    check_out_dir(source, Path("results"), images, suffixes)
    with pytest.raises(ConfigError, match=r"take 0\.jpg") if is_taken else nullcontext():
        check_out_dir(source, Path("."), images, suffixes)
    for suffix in suffixes:
        (photos / f"0{suffix}").write_bytes(b"")
    assert (len(find_images(source, ".")) > len(images)) == is_taken, "what it foretells"


@pytest.mark.parametrize("source", [".", "**/*.png"])
def test_results_of_before_are_no_input_however_the_folders_are_named(photos, monkeypatch, source):
    monkeypatch.chdir(photos)
    (photos / "results").mkdir()
    (photos / "0.png").rename(photos / "results/0.png")
    for out_dir in ("results", photos / "results"):
        names = [image.path.name for image in find_images(source, out_dir)]
        assert names == ["1.png", "2.png", "3.png", "4.png"]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_pixels_are_handed_on_to_whom_draws_on_them(photos, num_workers):
    (photos / "2.png").write_bytes(b"no image")
    images = find_images(str(photos))
    results = list(predict_images(Fragile(), CFG, images, 3, num_workers, keep_pixels=True))
    assert [isinstance(result, Failure) for result in results] == [False, False, True, False, False]
    for image, result in zip(images, results, strict=True):
        assert result.image == image
        if not isinstance(result, Failure):
            np.testing.assert_array_equal(result.pixels, image.read())
    assert next(predict_images(Fragile(), CFG, images, 1, num_workers)).pixels is None


def test_a_pipeline_that_reads_in_its_own_way_keeps_no_pixels(photos):
    """As a JPEG at a part of its resolution, which a picture cannot be drawn on."""
    own = [{"type": "LoadImage", "reduce": True}, *PIPELINE[1:]]
    cfg = Config({"test_dataloader": {"dataset": {"pipeline": own}}})
    images = find_images(str(photos))
    results = list(predict_images(Fragile(), cfg, images, 2, 0, keep_pixels=True))
    assert [result.pixels for result in results] == [None] * 5
