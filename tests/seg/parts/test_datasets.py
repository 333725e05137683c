import re

import numpy as np
import pytest
from PIL import Image

from engine.config import load_config
from engine.data.mirror import index_flip_pairs, pairs_of
from engine.errors import ConfigError, DataError
from seg.paired import select_split
from seg.parts.datasets import FaceDataset, SegFolderDataset
from seg.parts.datasets.seg_dataset import distinct_colours

PIPELINE = [dict(type="LoadImage"), dict(type="LoadLabels"), dict(type="PackInputs")]


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def faces(tmp_path):
    """20 faces in FaceSynthetics' flat layout."""
    rng = np.random.default_rng(0)
    for i in range(20):
        save(tmp_path / f"{i:06d}.png", rng.integers(0, 256, (12, 10, 3), np.uint8))
        save(tmp_path / f"{i:06d}_seg.png", rng.integers(0, 19, (12, 10), np.uint8))
        (tmp_path / f"{i:06d}_ldmks.txt").write_text("1 2\n")
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    """Images of several kinds in nested folders, with label maps elsewhere."""
    labels = np.zeros((6, 8), np.uint8)
    for name in ("a.jpg", "b.JPEG", "sub/a.png", "sub/deep/c.bmp"):
        save(tmp_path / "images" / name, np.zeros((6, 8, 3), np.uint8))
        save((tmp_path / "labels" / name).with_suffix(".png"), labels)
    return tmp_path


def folder_dataset(root, **kwargs):
    kwargs = {"classes": ("bg", "person"), "pipeline": PIPELINE, **kwargs}
    return SegFolderDataset(img_dir="images", seg_dir="labels", data_root=str(root), **kwargs)


def names(dataset):
    return [dataset.get_data_info(i)["img_path"] for i in range(len(dataset))]


def test_faces_are_sorted_and_whole(faces):
    paths = names(FaceDataset(data_root=str(faces)))
    assert paths == sorted(str(p) for p in faces.glob("??????.png"))


def test_what_is_beside_faces_is_counted(faces, capsys):
    """Such as a linked folder of more of them."""
    for name in ("000099.jpg", "000099_seg.bmp", ".hidden.png"):
        (faces / name).touch()
    (faces / "more").symlink_to(faces)
    assert len(FaceDataset(data_root=str(faces))) == 20
    told = "".join(capsys.readouterr())
    for text in ("1 folders, such as more", "suffix .jpg, such as 000099.jpg", "suffix .bmp"):
        assert text in told
    assert "ldmks" not in told and ".hidden" not in told


def test_split_is_disjoint_complete_and_the_same_every_time(faces):
    train, val = (
        names(FaceDataset(data_root=str(faces), split=s, val_ratio=0.25)) for s in ("train", "val")
    )
    assert len(val) == 5 and not set(train) & set(val) and len(train) == 15
    assert val == names(FaceDataset(data_root=str(faces), split="val", val_ratio=0.25))


def test_split_by_list(faces):
    (faces / "val.txt").write_text("# held out\n000003\n000007.png\n")
    kwargs = dict(data_root=str(faces), val_list=str(faces / "val.txt"))
    assert [p[-10:] for p in names(FaceDataset(split="val", **kwargs))] == [
        "000003.png",
        "000007.png",
    ]
    assert len(FaceDataset(split="train", **kwargs)) == 18


def test_list_with_an_unknown_name(faces):
    (faces / "val.txt").write_text("000099\n")
    with pytest.raises(DataError, match="000099"):
        FaceDataset(data_root=str(faces), split="val", val_list=str(faces / "val.txt"))


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_an_empty_split_is_an_error(ratio):
    with pytest.raises(ConfigError, match="both parts need at least one"):
        select_split([("a", 1), ("b", 2)], "val", ratio)


def test_split_does_not_depend_on_the_order_of_the_listing():
    records = [(str(i), i) for i in range(50)]
    forward = select_split(records, "val", 0.3)
    assert sorted(select_split(records[::-1], "val", 0.3)) == sorted(forward)


def test_the_same_names_are_held_out_in_every_version():
    records = [(f"{i:02}", i) for i in range(20)]
    assert select_split(records, "val", 0.25) == [5, 8, 11, 16, 17]


def test_missing_data_root_names_the_variable(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*DATA_ROOT"):
        FaceDataset(data_root=str(tmp_path / "nowhere"))


def test_image_without_mask(faces):
    (faces / "000004_seg.png").unlink()
    with pytest.raises(DataError, match=r"1 of 20 files have no label map.*000004\.png"):
        FaceDataset(data_root=str(faces))


def test_mask_without_image(faces):
    (faces / "000004.png").unlink()
    with pytest.raises(DataError, match=r"no image.*000004_seg\.png"):
        FaceDataset(data_root=str(faces))


def test_mask_of_another_size(faces):
    save(faces / "000000_seg.png", np.zeros((11, 10), np.uint8))
    dataset = FaceDataset(data_root=str(faces), pipeline=PIPELINE)
    with pytest.raises(DataError, match=r"000000_seg\.png is 11x10.*000000\.png is 12x10"):
        dataset[0]


def test_label_outside_the_classes(faces):
    save(faces / "000000_seg.png", np.full((12, 10), 37, np.uint8))
    dataset = FaceDataset(data_root=str(faces), pipeline=PIPELINE)
    with pytest.raises(DataError, match=r"label 37 in .*000000_seg\.png.*19 classes"):
        dataset[0]


def test_ignored_label_is_kept(faces):
    save(faces / "000000_seg.png", np.full((12, 10), 255, np.uint8))
    sample = FaceDataset(data_root=str(faces), pipeline=PIPELINE)[0]
    assert sample["data_samples"].gt_sem_seg.data.eq(255).all()


def test_a_failing_transform_names_the_sample(faces):
    dataset = FaceDataset(data_root=str(faces), pipeline=[dict(type="Warp")])
    with pytest.raises(DataError, match=r"000002\.png: KeyError"):
        dataset[2]


def test_folder_pairs_nested_files(folder):
    dataset = folder_dataset(folder)
    assert [p.removeprefix(str(folder)) for p in names(dataset)] == [
        "/images/a.jpg",
        "/images/b.JPEG",
        "/images/sub/a.png",
        "/images/sub/deep/c.bmp",
    ]
    assert dataset[3]["inputs"].shape == (3, 6, 8)


def test_folder_with_two_images_of_one_name(folder):
    save(folder / "images" / "a.png", np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(DataError, match="differ only in their suffix"):
        folder_dataset(folder)


def test_label_map_is_applied(folder):
    dataset = folder_dataset(folder, label_map={0: 1})
    assert dataset[0]["data_samples"].gt_sem_seg.data.eq(1).all()


COLOUR_KEYS = ["(0, 0, 0)", "'0, 0, 0'", "'#000000'"]


@pytest.mark.parametrize("key", COLOUR_KEYS)
def test_colours_of_a_config_become_classes(folder, tmp_path, root, key):
    """Also in a config that was written and read again, as a run writes its own."""
    template = root / "configs/seg/folder/sapiens_tiny_coco_persons-256x192.py"
    path = tmp_path / "own.py"
    path.write_text(
        f'_base_ = "{template}"\n'
        f'data = dict(data_root="{folder}", palette=None, color_map={{{key}: 1}})\n'
    )
    load_config(path).dump(tmp_path / "dumped.py")
    for config in (path, tmp_path / "dumped.py"):
        settings = dict(load_config(config).train_dataloader.dataset)
        dataset = SegFolderDataset(
            **{k: v for k, v in settings.items() if k not in ("type", "pipeline")},
            pipeline=PIPELINE,
        )
        assert dataset[0]["data_samples"].gt_sem_seg.data.eq(1).all()
    save(folder / "labels" / "a.png", np.full((6, 8, 3), 9, np.uint8))

    with pytest.raises(DataError, match=r"a\.png: the colour \(9, 9, 9\) at x=0, y=0"):
        folder_dataset(folder, color_map={(0, 0, 0): 1})[0]


def test_palette_is_made_up_of_distinct_colours(folder):
    assert len(set(distinct_colours(30))) == 30
    some = [(0, 0, 0), (255, 64, 64), (48, 90, 191), (88, 128, 32), (255, 64, 231)]
    assert [distinct_colours(num) for num in (0, 1, 5)] == [[], some[:1], some]
    assert len(folder_dataset(folder).metainfo["palette"]) == 2


def test_palette_of_another_length(folder):
    with pytest.raises(ConfigError, match="2 classes but 1 colours"):
        folder_dataset(folder, palette=[(0, 0, 0)])


def test_metainfo_needs_no_files():
    dataset = FaceDataset(data_root="/nowhere", lazy_init=True)
    assert len(dataset.metainfo["classes"]) == 19


@pytest.mark.parametrize(
    "pairs, message",
    [
        ([("Left_eye", "Right_ear")], "'Right_ear', which is not among"),
        ([], "Left_eye, Right_eye: named after a side"),
        ([("Left_eye", "Left_eye")], "two different names"),
        ([("Left_eye", "Right_eye"), ("Right_eye", "Nose")], "two of the flip_pairs"),
    ],
)
def test_wrong_flip_pairs(pairs, message):
    with pytest.raises(ConfigError, match=message):
        index_flip_pairs(["Nose", "Left_eye", "Right_eye"], pairs, "Data")


def test_flip_pairs_of_faces():
    metainfo = FaceDataset(lazy_init=True).metainfo
    assert pairs_of(metainfo, "classes") == ((3, 4), (5, 6), (7, 8))
    assert len(set(metainfo["palette"])) == 19


@pytest.mark.parametrize(
    ("labels", "options", "warning"),
    [
        ((0, 255), {}, "labels 0, 255, of which 255 is ignored: one class.*label_map={255: 1}"),
        ((255, 255), {}, "labels 255, of which 255 is ignored"),
        ((0, 255), dict(label_map={255: 1}), ""),
        ((0, 7), dict(label_map={7: 255}), "labels 0, 255, of which"),
        ((0, 0), {}, ""),  # a picture may show nobody
        ((0, 1), {}, ""),
        ((0, 255), dict(classes=("a", "b", "c")), "label_map={255: its id}"),
        ((0, 255), dict(metainfo=dict(ignore_index=254)), ""),  # an unknown label: LoadLabels
    ],
)
def test_one_class_beside_ignored_pixels_is_told(folder, capsys, labels, options, warning):
    for path in sorted(folder.rglob("labels/**/*.png")):
        save(path, np.array([labels] * 3, np.uint8).repeat(4, 1))
    (folder / "labels/a.png").write_bytes(b"no image")  # passed over: LoadLabels says so
    folder_dataset(folder, **options).full_init()
    told = "".join(capsys.readouterr())
    assert ("is ignored" in told) == bool(warning) and re.search(warning, told)


def test_two_classes_in_any_of_the_first_label_maps_are_enough(folder, capsys):
    labels = np.full((6, 8), 255, np.uint8)
    for i, path in enumerate(sorted(folder.rglob("labels/**/*.png"))):
        labels[:3] = i % 2
        save(path, labels)
    folder_dataset(folder).full_init()
    assert "is ignored" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("ratio", "num"), [(0.05, 1), (0.5, 10), (0.974, 19), (0.075, 2)])
def test_the_share_that_is_held_out_is_rounded(ratio, num):
    records = [(f"{i:03d}", {"i": i}) for i in range(20)]
    assert len(select_split(records, "val", ratio)) == num
    assert len(select_split(records, "train", ratio)) == 20 - num
    assert select_split(records, "all", ratio) == [record for _, record in records]


@pytest.mark.parametrize(("split", "names"), [("train", ["001"]), ("val", ["000", "002"])])
def test_names_of_a_list_may_have_suffixes(tmp_path, split, names):
    (tmp_path / "val.txt").write_text("002.png\n000\n")
    records = [(f"{i:03d}", {"name": f"{i:03d}"}) for i in range(3)]
    found = select_split(records, split, 0.5, tmp_path / "val.txt")
    assert [record["name"] for record in found] == names


def test_a_list_of_all_or_an_unknown_split_is_an_error(tmp_path):
    (tmp_path / "val.txt").write_text("000\n001\n")
    records = [("000", {}), ("001", {})]
    with pytest.raises(ConfigError, match="2 of 2 samples would be held out"):
        select_split(records, "train", 0.5, tmp_path / "val.txt")
    with pytest.raises(ConfigError, match="split='test': expected 'all', 'train' or 'val'"):
        select_split(records, "test", 0.5)
    assert select_split([], "val", 0.5) == []
