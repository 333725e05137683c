"""Images from folders, lists and tar archives; how they are dealt out; what is wrong with them."""

import tarfile
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from engine.data import SampleKey, SeededSampler, collate_samples
from engine.errors import DataError
from engine.evaluation import check_files
from pretrain.datasets import ImageListDataset, TarImageDataset
from pretrain.registry import DATASETS

PIPELINE = [
    {"type": "LoadImage", "reduce": True},
    {"type": "RandomResizedCrop", "size_hw": (32, 32)},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "Warp", "interpolation": "bicubic"},
    {"type": "PackInputs"},
]
NAMES = ["a/2.jpg", "a/10.png", "b/c/1.JPG", "b/c/1_seg.png", "z.jpeg"]
IMAGES = sorted(set(NAMES) - {"b/c/1_seg.png"})


def write_image(path: Path, seed: int, size_hw=(48, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    for seed, name in enumerate(NAMES):
        write_image(root / name, seed)
    (root / "notes.txt").write_text("no image")
    (root / ".hidden.jpg").write_text("no image either")
    return root


@pytest.fixture
def shards(folder, tmp_path):
    """The same images in two archives, with captions."""
    root = tmp_path / "shards"
    root.mkdir()
    for index in range(2):
        with tarfile.open(root / f"{index:05d}.tar", "w") as tar:
            for name in IMAGES[index::2]:
                tar.add(folder / name, name)
                tar.add(folder / "notes.txt", f"{name}.txt")
    return root


def of_folder(folder, **kwargs):
    return ImageListDataset(str(folder), exclude=["*_seg.png"], pipeline=PIPELINE, **kwargs)


def names(dataset, root):
    paths = [dataset.get_data_info(i)["img_path"] for i in range(len(dataset))]
    return [str(Path(path).relative_to(root)) for path in paths]


def test_folders_are_searched_in_sorted_order(folder):
    assert names(of_folder(folder), folder) == IMAGES
    assert names(ImageListDataset(str(folder)), folder) == sorted(NAMES)
    assert names(ImageListDataset(str(folder), exclude=["b/*"]), folder) == [
        "a/10.png", "a/2.jpg", "z.jpeg",
    ]  # fmt: skip


def test_lists_are_sorted_and_relative_to_the_root(folder, tmp_path):
    list_file = tmp_path / "list.txt"
    list_file.write_text("# comment\nz.jpeg\n\na/2.jpg\n")
    dataset = DATASETS.build(
        {"type": "ImageListDataset", "data_root": str(folder), "list_file": str(list_file)}
    )
    assert names(dataset, folder) == ["a/2.jpg", "z.jpeg"]


def test_archives_hold_the_same_samples_as_files(folder, shards):
    from_files = of_folder(folder)
    from_archives = TarImageDataset(str(shards), pipeline=PIPELINE)
    in_order = [f"{i:05d}.tar/{name}" for i in range(2) for name in IMAGES[i::2]]
    assert names(from_archives, shards) == in_order
    for index, name in enumerate(in_order):
        member = name.partition("/")[2]
        info = from_archives.get_data_info(index)
        with open(info["archive"], "rb") as file:
            file.seek(info["img_span"][0])
            assert file.read(info["img_span"][1]) == (folder / member).read_bytes()
    same_index = SampleKey(3, 1, 0)
    assert in_order[0].endswith(IMAGES[0])
    assert torch.equal(from_archives[same_index]["inputs"], from_files[same_index]["inputs"])


@pytest.mark.parametrize("make", ["folder", "shards"])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_two_ranks_share_an_epoch_without_overlap(make, num_workers, request):
    root = request.getfixturevalue(make)
    seen: Counter = Counter()
    for rank in range(2):
        dataset = of_folder(root) if make == "folder" else TarImageDataset(root, pipeline=PIPELINE)
        with patch("mmengine.dataset.sampler.get_dist_info", return_value=(rank, 2)):
            sampler = SeededSampler(dataset, seed=1)
        sampler.set_epoch(3)
        loader = DataLoader(
            dataset, 1, sampler=sampler, collate_fn=collate_samples, num_workers=num_workers
        )
        seen.update(batch["data_samples"][0].img_path for batch in loader)
    assert len(seen) == len(IMAGES) and set(seen.values()) == {1}


def test_samples_carry_their_keys(folder):
    sample = of_folder(folder)[SampleKey(7, 2, 1)]["data_samples"]
    assert sample.sample_key == (7, 2, 1)


def test_empty_folders_lists_and_archives_are_errors(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"no image \(.jpg.*\) below .*empty"):
        ImageListDataset(str(empty))
    with pytest.raises(DataError, match=r"no archive matches '\*\*/\*.tar' in .*empty"):
        TarImageDataset(str(empty))
    (empty / "list.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match=r"the list .*list.txt' is empty"):
        ImageListDataset(str(folder), list_file=str(empty / "list.txt"))
    with tarfile.open(empty / "0.tar", "w") as tar:
        tar.add(folder / "notes.txt", "0.txt")
    with pytest.raises(DataError, match=r"the 1 archives .* hold no image"):
        TarImageDataset(str(empty))


def test_missing_roots_and_lists_are_errors(folder, tmp_path):
    for make in (ImageListDataset, TarImageDataset):
        with pytest.raises(DataError, match="gone' does not exist"):
            make(str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"gone.txt' does not exist"):
        ImageListDataset(str(folder), list_file=str(tmp_path / "gone.txt"))


def test_a_list_with_missing_files_is_an_error_that_names_them(folder, tmp_path):
    list_file = tmp_path / "list.txt"
    list_file.write_text("a/2.jpg\na/gone.jpg\nnowhere/1.jpg\n")
    message = r"2 of 3 files of the list .*such as .*a/gone.jpg, .*nowhere/1.jpg.*data_root"
    with pytest.raises(DataError, match=message):
        ImageListDataset(str(folder), list_file=str(list_file))


@pytest.mark.parametrize("damage", ["cut", "compressed", "foreign"])
def test_damaged_archives_are_errors_that_name_them(damage, shards, folder):
    path = shards / "00001.tar"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1500])
    elif damage == "compressed":
        with tarfile.open(path, "w:gz") as tar:
            tar.add(folder / "z.jpeg", "z.jpeg")
    else:
        path.write_text("no archive")
    with pytest.raises(DataError, match=r"00001.tar cannot be read as an uncompressed tar"):
        TarImageDataset(str(shards))


def test_an_archive_that_was_cut_after_indexing_is_an_error(shards):
    dataset = TarImageDataset(str(shards), pipeline=PIPELINE, on_corrupt="raise")
    info = dataset.get_data_info(len(dataset) - 1)
    with open(info["archive"], "rb+") as file:
        file.truncate(info["img_span"][0] + 20)
    with pytest.raises(DataError, match=r"00001.tar ends within an image"):
        dataset[len(dataset) - 1]


def test_at_the_start_of_a_run_files_must_be_there_and_members_are_none(folder, shards):
    check_files(TarImageDataset(str(shards), pipeline=PIPELINE, on_corrupt="raise"))
    dataset = of_folder(folder, on_corrupt="raise")
    (folder / IMAGES[0]).unlink()
    with pytest.raises(DataError, match=r"1 of 4 files do not exist, such as .*10\.png"):
        check_files(dataset)


def test_a_corrupt_image_is_skipped_and_counted(folder):
    (folder / IMAGES[0]).write_bytes(b"no image")
    dataset = of_folder(folder)
    assert dataset[SampleKey(0, 0, 0)]["data_samples"].img_path.endswith(IMAGES[1])
    assert dataset.num_corrupt == 1
    with pytest.raises(DataError, match=r"10.png .*is not an image"):
        of_folder(folder, on_corrupt="raise")[0]


def test_more_corrupt_images_than_a_percent_stop_the_run(folder):
    for name in IMAGES[:2]:
        (folder / name).write_bytes(b"no image")
    with pytest.raises(DataError, match="2 of 4 samples cannot be read") as error:
        of_folder(folder)[0]
    assert all(f"{folder / name}" in str(error.value) for name in IMAGES[:2]), "it lists them"


def test_images_smaller_than_asked_for_are_errors(tmp_path):
    write_image(tmp_path / "small.png", 0, size_hw=(20, 100))
    pipeline = [PIPELINE[0], {**PIPELINE[1], "min_size": 32}, *PIPELINE[2:]]
    dataset = ImageListDataset(str(tmp_path), pipeline=pipeline, on_corrupt="raise")
    with pytest.raises(DataError, match=r"small.png is 20x100 pixels .*min_size=32"):
        dataset[0]
    dataset = ImageListDataset(str(tmp_path), pipeline=PIPELINE)
    assert dataset[0]["inputs"].shape == (3, 32, 32), "by default they are enlarged"
