"""on_corrupt="skip": replaced by the next sample, counted, and limited."""

import logging

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

from engine.data import (
    BaseDataset,
    PackInputs,
    RandomFlip,
    SampleKey,
    SeededSampler,
    Warp,
    collate_samples,
)
from engine.data.dataset import CorruptRecords
from engine.errors import ConfigError, DataError

PIPELINE = [{"type": "LoadImage"}, RandomFlip(prob=0.5), Warp(), PackInputs()]


class Images(BaseDataset):
    """Random images, given as arrays; LoadImage refuses those of floats."""

    METAINFO = {"classes": ("a", "b"), "flip_pairs": ()}

    def __init__(self, corrupt=(), length=300, **kwargs):
        self.corrupt = set(corrupt)
        self.length = length
        super().__init__(**{"pipeline": PIPELINE, "on_corrupt": "skip", **kwargs})

    def load_data_list(self):
        images = np.random.default_rng(0).integers(0, 256, (self.length, 4, 4, 3), np.uint8)
        return [
            {"img": image.astype(float) if i in self.corrupt else image, "img_path": f"{i}.png"}
            for i, image in enumerate(images)
        ]


def test_the_next_sample_takes_its_place_with_the_same_seed_and_epoch():
    dataset = Images(corrupt=[5, 6, 299])
    for epoch in range(4):
        replaced, own = (dataset[SampleKey(3, epoch, i)] for i in (5, 7))
        assert replaced["data_samples"].img_path == "7.png"
        assert torch.equal(replaced["inputs"], own["inputs"])
    assert dataset[299]["data_samples"].img_path == "0.png"


@pytest.mark.parametrize("num_workers", [0, 2])
def test_all_are_counted_once_whatever_the_workers(num_workers):
    dataset = Images(corrupt=[5, 100, 200])
    loader = DataLoader(
        dataset,
        batch_size=4,
        sampler=SeededSampler(dataset, seed=0),
        num_workers=num_workers,
        collate_fn=collate_samples,
    )
    for _ in range(2):
        assert sum(len(batch["inputs"]) for batch in loader) == 300
    assert dataset.num_corrupt == 3


def test_each_is_warned_of_once_by_name():
    warnings = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    dataset = Images(corrupt=[5])
    dataset[5], dataset[5]
    logger.removeHandler(handler)
    (warning,) = warnings
    assert "takes the place of 5 (1 of 300 samples cannot be read): an image" in warning


def test_more_than_one_percent_is_an_error():
    dataset = Images(corrupt=range(10, 20))
    with pytest.raises(
        DataError, match=r"Images: 4 of 300 samples cannot be read.*mmsapiens check"
    ):
        dataset[10]


def test_one_is_allowed_in_a_small_dataset():
    dataset = Images(corrupt=[1, 3], length=5)
    dataset[1]
    with pytest.raises(DataError, match="2 of 5"):
        dataset[3]


def test_the_limit_counts_what_this_process_reads():
    """Of 8 ranks each reads an eighth of an epoch; later more of the records are known."""
    records = CorruptRecords(8000, "Data")
    records.share_of_epoch = 1000
    for index in range(10):
        records.add(index, DataError("cut"))
    with pytest.raises(DataError, match="11 of 1000"):
        records.add(10, DataError("cut"))
    records.read[:2000] = True
    records.add(11, DataError("cut"))
    assert len(records) == 12


@pytest.mark.parametrize(
    ("num_records", "last", "rest"), [(1900, 19, ""), (2000, 19, ", and 1 more")]
)
def test_the_first_twenty_are_named(num_records, last, rest):
    records = CorruptRecords(num_records, "Data", name_of="{}.png".format)
    allowed = num_records // 100
    for index in range(allowed):
        records.add(index, DataError("cut"))
    message = rf"So far: 0.png, 1.png, .*, {last}.png{rest}\. The last one: cut"
    with pytest.raises(DataError, match=message):
        records.add(allowed, DataError("cut"))


def test_a_known_one_is_not_judged_again():
    """The workers of one process draw a record again in each epoch."""
    records = CorruptRecords(300, "Data")
    for _ in range(5):
        records.add(7, DataError("cut"))
    assert len(records) == 1


def test_nothing_is_counted_before_the_records_are_read_or_without_being_asked():
    assert Images(lazy_init=True).num_corrupt == 0
    assert Images(on_corrupt="raise").num_corrupt == 0


def test_a_transform_that_returns_nothing_is_named_with_the_file():
    dataset = Images(pipeline=[{"type": "LoadImage"}, lambda sample: None], on_corrupt="raise")
    with pytest.raises(DataError, match=r"Images: 5\.png: a transform returned None"):
        dataset[5]


def test_an_error_of_a_config_in_a_transform_stays_one():
    def refuse(sample):
        raise ConfigError("no such option")

    with pytest.raises(ConfigError, match=r"^no such option$"):
        Images(pipeline=[refuse])[5]


@pytest.mark.parametrize("indices", [3, [7, 1, 4]])
def test_some_of_the_records(indices):
    dataset = Images(corrupt=[0, 1, 2, 4], indices=indices, on_corrupt="raise")
    names = [dataset.get_data_info(i)["img_path"] for i in range(len(dataset))]
    assert names == (["0.png", "1.png", "2.png"] if indices == 3 else ["7.png", "1.png", "4.png"])


def test_a_dataset_without_records_or_root_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"Images: no sample was found in ''"):
        Images(length=0)
    with pytest.raises(DataError, match=r"Images: the data root .*gone' does not exist.*DATA_ROOT"):
        Images(data_root=str(tmp_path / "gone"))
    assert len(Images(data_root=str(tmp_path))) == 300


def test_a_bug_in_a_transform_is_no_corrupt_file():
    dataset = Images(pipeline=[{"type": "Warp"}])
    with pytest.raises(DataError, match=r"5\.png: KeyError"):
        dataset[5]
    assert dataset.num_corrupt == 0


def test_the_default_is_to_raise():
    with pytest.raises(DataError, match="float64"):
        Images(corrupt=[5], on_corrupt="raise")[5]
    with pytest.raises(ConfigError, match="expected 'raise' or 'skip'"):
        Images(on_corrupt="ignore")


@pytest.mark.parametrize("length", [1, 2])
def test_a_dataset_without_a_sample_that_can_be_read_ends(length):
    dataset = Images(corrupt=range(length), length=length)
    with pytest.raises(DataError, match=r"none of its 1 samples can be read|2 of 2 samples"):
        dataset[0]


@pytest.mark.parametrize(
    "settings, text",
    [
        (dict(length=0), r"Images: no sample was found in '\.'\. Correct data_root"),
        (dict(length=5, indices=0), "Images: no sample of indices=0 was found in"),
        (dict(length=5, indices=[], on_corrupt="raise"), r"Images: no sample of indices=\[\] was"),
    ],
)
def test_a_dataset_without_a_sample_is_refused(settings, text):
    with pytest.raises(DataError, match=text):
        Images(data_root=".", **settings)


def test_an_epoch_that_goes_to_one_corrupt_record_ends():
    class One(Images):
        def record_of(self, key):
            return 7

    with pytest.raises(DataError, match="none of its 300 samples"):
        One(corrupt=[7])[0]
