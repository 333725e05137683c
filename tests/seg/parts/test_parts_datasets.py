"""The datasets of body parts, against the facts of the release."""

import json

import numpy as np
import pytest
from PIL import Image

from engine.config import load_config
from engine.data.loading import read_labels
from engine.data.mirror import pairs_of
from engine.errors import ConfigError, DataError
from mmsapiens.synthetic.layouts import LAYOUTS
from mmsapiens.synthetic.write_dataset import write_split
from seg.parts.datasets import CIHPDataset, GoliathDataset, LIPDataset

PIPELINE = [dict(type="LoadImage"), dict(type="LoadLabels"), dict(type="PackInputs")]
GOLIATH_CLASSES = (
    "Background", "Apparel", "Face_Neck", "Hair", "Left_Foot", "Left_Hand", "Left_Lower_Arm",
    "Left_Lower_Leg", "Left_Shoe", "Left_Sock", "Left_Upper_Arm", "Left_Upper_Leg",
    "Lower_Clothing", "Right_Foot", "Right_Hand", "Right_Lower_Arm", "Right_Lower_Leg",
    "Right_Shoe", "Right_Sock", "Right_Upper_Arm", "Right_Upper_Leg", "Torso", "Upper_Clothing",
    "Lower_Lip", "Upper_Lip", "Lower_Teeth", "Upper_Teeth", "Tongue",
)  # fmt: skip
LIP_CLASSES = (
    "Background", "Hat", "Hair", "Glove", "Sunglasses", "UpperClothes", "Dress", "Coat", "Socks",
    "Pants", "Jumpsuits", "Scarf", "Skirt", "Face", "Left-arm", "Right-arm", "Left-leg",
    "Right-leg", "Left-shoe", "Right-shoe",
)  # fmt: skip
CIHP_CLASSES = (*LIP_CLASSES[:10], "Torso-skin", *LIP_CLASSES[11:])
GOLIATH_PAIRS = ((4, 13), (5, 14), (6, 15), (7, 16), (8, 17), (9, 18), (10, 19), (11, 20))
LIP_PAIRS = ((14, 15), (16, 17), (18, 19))


@pytest.mark.parametrize(
    "dataset, classes, pairs",
    [
        (GoliathDataset, GOLIATH_CLASSES, GOLIATH_PAIRS),
        (LIPDataset, LIP_CLASSES, LIP_PAIRS),
        (CIHPDataset, CIHP_CLASSES, LIP_PAIRS),
    ],
)
def test_classes_colours_and_pairs(dataset, classes, pairs):
    metainfo = dataset(lazy_init=True).metainfo
    assert metainfo["classes"] == classes
    assert pairs_of(metainfo, "classes") == pairs
    assert len(set(metainfo["palette"])) == len(classes)


def test_class_10_of_cihp_is_skin():
    lip, cihp = (d(lazy_init=True).metainfo["classes"] for d in (LIPDataset, CIHPDataset))
    assert (lip[10], cihp[10]) == ("Jumpsuits", "Torso-skin")
    assert lip[:10] + lip[11:] == cihp[:10] + cihp[11:]


@pytest.mark.parametrize(
    "name, index, rgb",
    [
        ("Tongue", 27, (82, 21, 114)),
        ("Torso", 21, (14, 204, 0)),
        ("Right_Upper_Leg", 20, (0, 145, 255)),
        ("Lower_Lip", 23, (235, 205, 119)),
    ],
)
def test_colours_of_goliath(name, index, rgb):
    metainfo = GoliathDataset(lazy_init=True).metainfo
    assert metainfo["classes"][index] == name and metainfo["palette"][index] == rgb


LIP_WEIGHTS = {
    0.1: [0], 0.7: [13], 0.8: [5, 9], 1.0: [2, 7, 14, 15, 16, 17], 1.2: [6, 10],
    1.5: [1, 3, 4, 8, 11, 12, 18, 19],
}  # fmt: skip
WEIGHTS = {
    "goliath": {
        0.1: [0], 1: [12, 21, 22], 2: [3, 6, 7, 15, 16], 3: [2, 10, 11, 19, 20], 4: [4, 5, 13, 14],
        6: [8, 17], 10: [1, 9, 18, 23, 24, 25, 26, 27],
    },
    "lip": LIP_WEIGHTS,
    "cihp": LIP_WEIGHTS,
}  # fmt: skip


@pytest.mark.parametrize("task", WEIGHTS)
def test_weights_of_the_classes(root, task):
    cfg = load_config(root / f"configs/seg/{task}/sapiens_1b_{task}-1024x768.py")
    by_class = {label: w for w, labels in WEIGHTS[task].items() for label in labels}
    expected = [by_class[label] for label in range(cfg.model.decode_head.num_classes)]
    assert cfg.model.decode_head.loss_decode.class_weight == expected


@pytest.mark.parametrize(
    "dataset, layout",
    [(GoliathDataset, "goliath"), (LIPDataset, "lip"), (CIHPDataset, "cihp")],
)
def test_reads_the_layout_that_the_tool_writes(tmp_path, dataset, layout):
    written = LAYOUTS[layout].splits
    for split in written:
        list(write_split(LAYOUTS[layout], tmp_path, split, 3, seed=0, size_hw=(40, 30)))
    splits = ("train", "val") if len(written) == 2 else ("all",)
    for split in splits:
        data = dataset(data_root=str(tmp_path), split=split, pipeline=PIPELINE)
        assert len(data) == 3
        packed = data[1]
        labels = packed["data_samples"].gt_sem_seg.data
        assert packed["inputs"].shape == (3, 40, 30) and labels.shape == (1, 40, 30)
        assert len(labels.unique()) > 3


def write_sample(root, labels, name="a"):
    image = np.zeros((*labels.shape, 3), np.uint8)
    for folder, array in (("images", image), ("segmentations", labels)):
        (root / folder).mkdir(exist_ok=True)
        Image.fromarray(array).save(root / folder / f"{name}.png")


def test_raw_labels_become_28_classes(tmp_path):
    raw = np.append(np.arange(34), 255).astype(np.uint8)[None]
    write_sample(tmp_path, raw)
    data = GoliathDataset(data_root=str(tmp_path), raw_labels=True, pipeline=PIPELINE)
    labels = data[0]["data_samples"].gt_sem_seg.data[0, 0].tolist()
    ignored = [2, 3, 4, 7, 17, 28, 34]
    assert [i for i, label in enumerate(labels) if label == 255] == ignored
    assert [label for label in labels if label != 255] == list(range(28))
    assert (labels[26], labels[27], labels[29], labels[33]) == (21, 22, 23, 27)


def test_raw_labels_read_as_classes_are_an_error(tmp_path):
    write_sample(tmp_path, np.full((2, 2), 33, np.uint8))
    with pytest.raises(DataError, match=r"label 33 in .*a\.png.* 28 classes"):
        GoliathDataset(data_root=str(tmp_path), pipeline=PIPELINE)[0]
    with pytest.raises(ConfigError, match="not both"):
        GoliathDataset(raw_labels=True, label_map={1: 2}, lazy_init=True)


def test_an_error_of_mapped_labels_names_the_label_in_the_file(tmp_path):
    write_sample(tmp_path, np.full((2, 2), 34, np.uint8))
    data = GoliathDataset(data_root=str(tmp_path), label_map={34: 99}, pipeline=PIPELINE)
    with pytest.raises(DataError, match=r"label 34 in .*label_map=\{34: 255\}"):
        data[0]


@pytest.mark.parametrize("keys", [("img_path", "seg_map_path"), ("image", "segmentation")])
def test_json_list(tmp_path, keys):
    for name in ("b", "a"):
        write_sample(tmp_path, np.zeros((2, 3), np.uint8), name)
    entries = [
        {keys[0]: f"images/{n}.png", keys[1]: f"segmentations/{n}.png", "id": 7} for n in "ba"
    ]
    (tmp_path / "list.json").write_text(json.dumps(entries))
    data = GoliathDataset(data_root=str(tmp_path), ann_file="list.json", pipeline=PIPELINE)
    paths = [data.get_data_info(i)["img_path"] for i in range(2)]
    assert paths == [str(tmp_path / "images" / f"{n}.png") for n in "ab"]
    assert read_labels(data.get_data_info(0)["seg_map_path"]).shape == (2, 3)
    assert data[0]["inputs"].shape == (3, 2, 3)


def test_images_of_one_stem_are_in_the_order_of_their_suffixes(tmp_path):
    write_sample(tmp_path, np.zeros((2, 3), np.uint8), "a")
    (tmp_path / "images/a.jpg").write_bytes((tmp_path / "images/a.png").read_bytes())
    entries = [
        dict(image=f"images/a.{kind}", segmentation="segmentations/a.png")
        for kind in ("png", "jpg")
    ]
    (tmp_path / "list.json").write_text(json.dumps(entries))
    data = GoliathDataset(data_root=str(tmp_path), ann_file="list.json", pipeline=PIPELINE)
    assert [data.get_data_info(i)["img_path"][-3:] for i in range(2)] == ["jpg", "png"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "cannot be read as JSON"),
        ("{}", "holds a dict; expected a list"),
        ("[]", "holds an empty list; expected a list of entries"),
        ('[{"image": "a.jpg"}]', "entry 0 has no 'seg_map_path' or 'segmentation'"),
        ('[{"image": "a.jpg", "segmentation": "a.png"}]', r"2 of 2 files do not exist.*a\.jpg"),
    ],
)
def test_wrong_json_lists(tmp_path, text, message):
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(DataError, match=message):
        GoliathDataset(data_root=str(tmp_path), ann_file="list.json")


def test_wrong_splits_of_lip():
    with pytest.raises(ConfigError, match="'train' or 'val'"):
        LIPDataset(split="all", lazy_init=True)
    with pytest.raises(ConfigError, match="remove val_ratio"):
        CIHPDataset(val_ratio=0.1, lazy_init=True)


def test_folders_of_goliath_are_the_configs(tmp_path):
    write_sample(tmp_path, np.zeros((2, 3), np.uint8))
    for old, new in (("images", "photos"), ("segmentations", "labels")):
        (tmp_path / old).rename(tmp_path / new)
    data = GoliathDataset(img_dir="photos", seg_dir="labels", data_root=str(tmp_path))
    record = data.get_data_info(0)
    assert record["img_path"] == str(tmp_path / "photos/a.png")
    assert record["seg_map_path"] == str(tmp_path / "labels/a.png")


def test_entries_that_are_no_objects(tmp_path):
    (tmp_path / "list.json").write_text("[7]")
    with pytest.raises(DataError, match="entry 0 has no 'img_path' or 'image': 7"):
        GoliathDataset(data_root=str(tmp_path), ann_file="list.json")
