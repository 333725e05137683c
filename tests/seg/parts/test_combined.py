"""Joined datasets: remaps against the release's tables, shares, and what the key decides."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from engine.config import load_config
from engine.data.sampling import SampleKey, SeededSampler
from engine.errors import ConfigError, DataError
from mmsapiens.preflight.seg_check import SegMapCheck
from seg.parts.datasets import CIHPDataset, CombinedDataset, GoliathDataset, LIPDataset
from seg.parts.datasets.remaps import ATR_CLASSES, PASCAL_CLASSES, UNKNOWN, remap_labels

PIPELINE = [dict(type="LoadImage"), dict(type="LoadLabels"), dict(type="PackInputs")]
GOLIATH, LIP, CIHP = (
    d(lazy_init=True).metainfo["classes"] for d in (GoliathDataset, LIPDataset, CIHPDataset)
)
X = 255
RELEASED = {
    "lip_to_goliath": (LIP, [0, X, 3, X, X, 22, X, 22, X, 12, X, X, 22, 2, X, X, X, X, 8, 17]),
    "cihp_to_goliath": (CIHP, [0, X, 3, X, X, 22, X, 22, X, 12, X, X, 22, 2, X, X, X, X, 8, 17]),
    "atr_to_goliath": (ATR_CLASSES, [0, X, 3, X, 22, 12, 12, X, X, 8, 17, 2, X, X, X, X, X, X]),
    "pascal_to_goliath": (
        PASCAL_CLASSES,
        [0, 2, 2, 2, 2, 2, 2, 2, 2, X, 3, 22, 2, X, X, 5, X, X, 14, X, X, 8, X, X, 17],
    ),
}
MENDED = {
    "lip_to_goliath": {"Skirt": "Lower_Clothing"},
    "cihp_to_goliath": {"Skirt": "Lower_Clothing", "Torso-skin": "Torso"},
}


@pytest.mark.parametrize("name", RELEASED)
def test_tables_equal_the_releases_but_for_what_is_mended(name):
    source, expected = RELEASED[name]
    for old, new in MENDED.get(name, {}).items():
        expected[source.index(old)] = GOLIATH.index(new)
    table = remap_labels(name, source, GOLIATH)
    assert [table[i] for i in range(len(source))] == expected
    assert {table[i] for i in range(len(source), 255)} == {UNKNOWN} and len(table) == 255


@pytest.mark.parametrize(
    "remap, message",
    [
        ("lip_to_goliat", "known are lip_to_goliath"),
        ({"Trousers": "Torso"}, "names Trousers, but the source"),
        ({"Pants": "Trousers"}, "names Trousers, but the target"),
    ],
)
def test_wrong_remaps(remap, message):
    with pytest.raises(ConfigError, match=message):
        remap_labels(remap, LIP, GOLIATH)


def write(folder, label, num):
    """Images of a single label each, in Goliath's folders."""
    for i in range(num):
        for kind in ("images", "segmentations"):
            path = folder / kind / f"{i:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            array = np.full((2, 3), label, np.uint8)
            Image.fromarray(np.dstack([array] * 3) if kind == "images" else array).save(path)
    return folder


@pytest.fixture
def members(tmp_path):
    """Six images of Goliath's Tongue, and two of LIP's Pants."""
    other = dict(
        type="SegFolderDataset",
        data_root=str(write(tmp_path / "other", 9, 2)),
        img_dir="images",
        seg_dir="segmentations",
        classes=LIP,
        flip_pairs=[(a, a.replace("Left", "Right")) for a in LIP if a.startswith("Left")],
    )
    return [
        dict(type="GoliathDataset", data_root=str(write(tmp_path / "goliath", 27, 6))),
        other,
    ]


def combine(members, **kwargs):
    kwargs = {"remaps": [None, "lip_to_goliath"], "pipeline": PIPELINE, **kwargs}
    return CombinedDataset(datasets=members, **kwargs)


def labels_of(dataset, keys):
    return [int(dataset[key]["data_samples"].gt_sem_seg.data.unique()) for key in keys]


def test_labels_are_mapped_and_the_classes_are_the_first_ones(members):
    dataset = combine(members)
    assert labels_of(dataset, range(8)) == [27] * 6 + [12] * 2
    assert dataset.metainfo["classes"] == GOLIATH
    assert len(dataset.metainfo["flip_pairs"]) == 8 and "label_map" not in dataset.metainfo


def test_a_members_own_label_map_comes_first(members):
    members[0]["raw_labels"] = True  # raw 27 is upper clothing, 22
    members[1]["label_map"] = {9: 13}  # LIP's Face
    assert labels_of(combine(members), [0, 7]) == [22, 2]


def test_a_members_own_colours_come_first(members):
    members[1]["color_map"] = {(9, 9, 9): 13}  # LIP's Face
    assert labels_of(combine(members), [0, 7]) == [27, 2]


def test_an_id_that_is_no_class_of_its_dataset_is_an_error(members, tmp_path):
    write(tmp_path / "other", 21, 1)  # no label of LIP; Torso in Goliath
    with pytest.raises(DataError, match=r"label 21 in .*other"):
        combine(members)[6]


def test_the_check_of_the_data_maps_labels_too(members):
    dataset = combine(members)
    facts = SegMapCheck().measure({**dataset.get_data_info(6), "metainfo": dataset.metainfo})
    assert facts.labels.tolist() == [12]


def paths_of(dataset, keys):
    return [dataset[key]["data_samples"].img_path for key in keys]


def test_weights_are_shares_and_records_take_turns(members):
    dataset = combine(members, weights=[1, 3])
    assert len(dataset) == 8
    for epoch in range(3):
        keys = [SampleKey(0, epoch, i) for i in range(8)]
        assert Counter(labels_of(dataset, keys)) == {27: 2, 12: 6}
    keys = [SampleKey(0, epoch, i) for epoch in range(3) for i in range(8)]
    assert set(Counter(paths_of(dataset, keys)).values()) == {1, 9}


def test_each_turn_has_an_order_of_its_own(members):
    """Of these shares an epoch is one turn."""
    dataset = combine(members, weights=[3, 1])
    keys = [[SampleKey(seed, epoch, i) for i in range(6)] for seed in (0, 1) for epoch in range(3)]
    turns = [tuple(map(dataset.record_of, turn)) for turn in keys]
    assert {frozenset(turn) for turn in turns} == {frozenset(range(6))}
    assert len(set(turns)) == len(turns)


def test_the_key_decides_the_record(members):
    sampler = SeededSampler(range(8), seed=3)
    sampler.set_epoch(2)
    keys = list(sampler)
    once, again = (
        paths_of(combine(members, weights=[1, 1]), order) for order in (keys, keys[::-1])
    )
    assert once == again[::-1]
    other_seed = [key._replace(seed=4) for key in keys]
    dataset = combine(members, weights=[1, 1])
    assert paths_of(dataset, other_seed) != once


def test_a_record_drawn_twice_in_an_epoch_is_augmented_twice(members):
    pipeline = [PIPELINE[0], dict(type="PhotoMetricDistortion"), *PIPELINE[1:]]
    dataset = combine(members, weights=[1, 3], pipeline=pipeline)
    images = {dataset[i]["inputs"].numpy().tobytes() for i in range(2, 8)}
    assert len(images) > 2, "of two records"


def test_without_weights_an_epoch_is_every_record_once(members):
    paths = paths_of(combine(members), [SampleKey(5, 1, i) for i in range(8)])
    assert len(set(paths)) == 8


@pytest.mark.parametrize("weights", [None, [1, 3]])
def test_a_corrupt_record_is_skipped_and_counted_once(members, tmp_path, weights):
    (tmp_path / "other" / "images" / "00.png").write_bytes(b"no image")
    dataset = combine(members, weights=weights, on_corrupt="skip")
    keys = [SampleKey(0, epoch, i) for epoch in range(2) for i in range(8)]
    assert not any("other/images/00" in path for path in paths_of(dataset, keys))
    assert dataset.num_corrupt == 1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"remaps": [None]}, "1 remaps for 2 datasets"),
        ({"remaps": None}, "classes of SegFolderDataset differ"),
        ({"weights": [1]}, "1 weights for 2 datasets"),
        ({"weights": [1, 0]}, "weights are > 0"),
        ({"weights": [1, 1], "indices": 3}, "a dataset without a record"),
    ],
)
def test_wrong_combinations(members, change, message):
    with pytest.raises(ConfigError, match=message):
        combine(members, **change)


def test_a_config_may_join_datasets_of_other_classes(members, root, tmp_path):
    path = tmp_path / "joined.py"
    path.write_text(
        f"_base_ = ['{root}/configs/seg/synthetic_parts/"
        "sapiens_tiny_synthetic_parts-192x144.py']\n"
        "train_dataloader = dict(dataset=dict(_delete_=True, type='CombinedDataset', "
        f"datasets={members!r}, remaps=[None, 'lip_to_goliath']))\n"
    )
    assert len(load_config(path).train_dataloader.dataset.datasets) == 2
    path.write_text(path.read_text().replace("'GoliathDataset'", "'FaceDataset'"))
    with pytest.raises(ConfigError, match=r"28, but .*datasets\[0\] .*19 classes"):
        load_config(path)


def test_a_pipeline_of_a_member_is_an_error(members):
    members[1]["pipeline"] = PIPELINE
    with pytest.raises(ConfigError, match="SegFolderDataset has pipeline, which nothing reads"):
        combine(members)


def test_depth_has_no_labels_to_combine(members):
    depth = {"type": "DepthGeneralDataset", "lazy_init": True}
    with pytest.raises(ConfigError, match="DepthGeneralDataset has no classes"):
        CombinedDataset([depth, depth])
