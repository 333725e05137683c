"""COCO polygons become a folder that SegFolderDataset reads."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from engine.errors import DataError
from mmsapiens.cli import dispatch
from seg.parts.datasets import SegFolderDataset


def square(x, y, size):
    return [[x, y, x + size, y, x + size, y + size, x, y + size]]


@pytest.fixture
def coco(tmp_path):
    """Two images of one name in two folders: a person, a crowd and a dog on the person."""
    annotations = [
        dict(id=1, image_id=1, category_id=1, segmentation=square(2, 2, 10), area=100, iscrowd=0),
        dict(id=2, image_id=1, category_id=7, segmentation=square(4, 4, 4)),
        dict(
            id=3, image_id=2, category_id=1, iscrowd=1, area=9,
            segmentation=dict(size=[20, 30], counts=[0, 20, 580]),
        ),
    ]  # fmt: skip
    content = dict(
        images=[
            dict(id=i, file_name=f"{folder}/1.jpg", height=20, width=30)
            for i, folder in enumerate("ab", 1)
        ],
        annotations=annotations,
        categories=[dict(id=1, name="person"), dict(id=7, name="dog")],
    )
    for folder, grey in (("a", 50), ("b", 200)):
        path = tmp_path / "photos" / folder / "1.jpg"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((20, 30, 3), grey, np.uint8)).save(path)
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return tmp_path


def convert(run, coco, *args):
    return run("coco-to-folder", coco / "coco.json", coco / "photos", coco / "out", *args)


def test_labels_and_images_are_where_the_dataset_looks(run, coco):
    done = convert(run, coco, "--categories", "person", "dog")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 images" in done.stdout
    first, second = (np.asarray(Image.open(coco / f"out/labels/{f}/1.png")) for f in "ab")
    assert first[3, 3] == 1 and first[5, 5] == 2 and first[0, 0] == 0
    assert second[:, 0].tolist() == [255] * 20 and not second[:, 1:].any()
    assert np.asarray(Image.open(coco / "out/images/b/1.jpg")).mean() > 150
    dataset = SegFolderDataset(
        data_root=str(coco / "out"),
        img_dir="images",
        seg_dir="labels",
        classes=("background", "person", "dog"),
        pipeline=[dict(type="LoadImage"), dict(type="LoadLabels"), dict(type="PackInputs")],
    )
    assert dataset[0]["data_samples"].gt_sem_seg.data.max() == 2


@pytest.mark.parametrize(("args", "kept"), [([], "a"), (["--keep-empty"], "ab")])
def test_an_image_without_the_categories_is_kept_if_asked_for(coco, args, kept, capsys):
    words = [coco / "coco.json", coco / "photos", coco / "out", "--categories", "dog", *args]
    dispatch(["coco-to-folder", *map(str, words)])
    assert f"{len(kept)} of 2 images" in capsys.readouterr().out
    for folder in ("images", "labels"):
        assert "".join(sorted(p.name for p in (coco / "out" / folder).iterdir())) == kept
    labels = [np.asarray(Image.open(coco / f"out/labels/{f}/1.png")) for f in kept]
    assert [np.unique(found).tolist() for found in labels] == [[0, 1], [0]][: len(kept)]


def test_an_image_that_is_not_there_is_an_error(coco):
    (coco / "photos/b/1.jpg").unlink()
    words = [coco / "coco.json", coco / "photos", coco / "out"]
    with pytest.raises(DataError, match=r"name b/1\.jpg, but there is no .*photos/b/1\.jpg"):
        dispatch(["coco-to-folder", *map(str, words)])


@pytest.mark.parametrize(
    "args, message", [(["--categories", "cat"], "'cat'.*not among"), ([], "is not empty")]
)
def test_wrong_input(run, coco, args, message):
    if not args:
        (coco / "out").mkdir()
        (coco / "out" / "old.txt").touch()
    done = convert(run, coco, *args)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.search(message, done.stderr.replace("\n", " "))
