"""Lists of images: their order, names of results, and how little memory they take."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from engine.infer import ImageList

NAMES = ["b/x.png", "a.b/c.jpg", "a/c.png", "a/c.jpg", "a/b.png", "a.png", "a", "b/x.tar.png"]


def test_files_are_sorted_as_paths_are_and_named_after_themselves(tmp_path):
    paths = [tmp_path / name for name in [*NAMES, "a.png"]]
    images = ImageList(map(str, paths))
    assert [image.path for image in images] == sorted(set(paths))
    stems = {image.path.relative_to(tmp_path).as_posix(): image.out_stem for image in images}
    assert stems == {
        "a": "a", "a.png": "a.png", "a/b.png": "a/b", "a/c.jpg": "a/c.jpg", "a/c.png": "a/c.png",
        "a.b/c.jpg": "a.b/c", "b/x.png": "b/x", "b/x.tar.png": "b/x.tar",
    }  # fmt: skip


def test_a_folder_names_results_and_without_one_the_innermost_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ImageList(["in/a/0.png", "in/a/1.png"], "in")[0].out_stem == "a/0"
    assert ImageList(["in/a/0.png", "in/a/1.png"])[0].out_stem == "0"
    assert ImageList(["in/../in/a/0.png", str(tmp_path / "in/b/1.png")])[1].out_stem == "a/0"
    assert ImageList(["0.png"])[0] == (Path("0.png"), "0", None, None, None)


def test_some_of_them_keep_their_names():
    images = ImageList([f"{i}.{kind}" for i in range(4) for kind in ("png", "jpg")])
    some = images.where(np.arange(8) % 2 == 0)[1:]
    assert [(image.path.name, image.out_stem) for image in some] == [
        (f"{i}.jpg", f"{i}.jpg") for i in (1, 2, 3)
    ]
    assert some == list(images)[2::2] and some != list(images)
    assert images[-1] == list(images)[-1]
    with pytest.raises(ValueError, match="shorter"):
        images.where([True])


def test_an_image_takes_little_more_than_its_path():
    tracemalloc.start()
    images = ImageList(f"/photos/{i % 100:03}/{i:09}.jpg" for i in range(20_000))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(images) == 20_000 and taken < 200 * len(images)
