"""Checkpoints of strangers: no code of theirs runs, nothing crashes, and no file is removed."""

from __future__ import annotations

import shutil
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from engine.checkpoint import load_weights, read_checkpoint, unpickle
from engine.errors import WeightsError
from engine.runner import Runner
from tests.conftest import BARE, make_face_config
from tests.fuzz.mutants import outcomes

RECONSTRUCT = np.empty(0).__reduce__()[0]
WEIGHT = torch.arange(3.0)


def saved(path: Path, **meta) -> Path:
    torch.save({"state_dict": {"weight": WEIGHT}, "meta": meta}, path)
    return path


# ---- NumPy's values


class Array:
    """Pickled as an array of any shape, dtype and bytes."""

    def __init__(self, dtype, shape=(1000,), raw=bytes(8000)) -> None:
        self.state = (1, shape, dtype, False, raw)

    def __reduce__(self):
        return RECONSTRUCT, (np.ndarray, (0,), b"b"), self.state


class Dtype:
    """Pickled as a dtype whose items grow after an array of it was made."""

    def __init__(self, code: str) -> None:
        self.code, self.array = code, Array(self)

    def __reduce__(self):
        state = (4, "|", None, None, None, 2**30, 1, 0, {"array": self.array})
        return np.dtype, (self.code, False, True), state


@pytest.mark.parametrize("code", ["S8", "U2"])
def test_a_dtype_cannot_grow_after_its_array_was_made(tmp_path, code):
    dtype = Dtype(code)
    path = saved(tmp_path / "a.pth", dtype=dtype, array=dtype.array)

    def read():
        array = read_checkpoint(path)["meta"]["array"]
        return array.itemsize, array.shape, array.tolist()[999]

    (result,) = outcomes([("read", read)])
    assert (result.end, result.text) == ("accepted", f"(8, (1000,), {'b' * (code == 'S8')}'')")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([{}, None], object), "contains numpy.dtype"),
        (np.zeros(2, [("a", "f4"), ("b", "i8")]), "contains numpy.dtype"),
        (np.array(["2020-01-01"], "M8[D]"), "contains numpy.dtype"),
        (Array(np.dtype("f8"), (999,)), "another size than its dtype"),
        (Array(np.dtype("f8"), (2**40, 2**40)), "another size than its dtype"),
        (Array(np.dtype("f8"), (-10, -100)), "negative dimensions"),
        (Array(np.dtype("f8"), (2**40, 0), b""), "another size than its dtype"),
        (Array(np.dtype("U2"), raw=b"\xff" * 8000), "no character"),
        (np.random.default_rng(0), "contains numpy.random"),
    ],
)
def test_other_values_of_numpy_are_refused(tmp_path, value, message):
    with pytest.raises(WeightsError, match=message):
        read_checkpoint(saved(tmp_path / "a.pth", value=value))


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([[True], [False]]),
        np.array(["ä", "bcd"]),
        np.zeros((0, 3), np.uint8),
        np.array(1 + 2j),
    ],
)
def test_arrays_are_read_as_they_were(tmp_path, value):
    read = read_checkpoint(saved(tmp_path / "a.pth", value=value))["meta"]["value"]
    assert type(read) is np.ndarray and read.dtype == value.dtype
    assert read.shape == value.shape and np.array_equal(read, value)
    assert read.flags.writeable and read.flags.f_contiguous == value.flags.f_contiguous


def test_a_file_does_not_change_what_the_statistics_of_logs_mean(tmp_path):
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    history.__dict__["statistics_methods"] = {"mean": HistoryBuffer.max, "min": 5}
    methods = dict(HistoryBuffer._statistics_methods)
    try:
        HistoryBuffer._statistics_methods.update(mean=HistoryBuffer.max)
        saved(tmp_path / "a.pth", log=history)
    finally:
        HistoryBuffer._statistics_methods.update(methods)
    read = read_checkpoint(tmp_path / "a.pth")["meta"]["log"]
    assert read.statistics("mean") == 2.0 and "statistics_methods" not in vars(read)


@pytest.mark.parametrize(
    "fields",
    [
        {"_log_history": np.array(["a", "b"])},
        {"_log_history": np.zeros((2, 2))},
        {"_count_history": np.zeros(3)},
        {"max_length": -1},
    ],
)
def test_a_log_is_two_rows_of_numbers(tmp_path, fields):
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    vars(history).update(fields)
    with pytest.raises(WeightsError, match="two rows of numbers"):
        read_checkpoint(saved(tmp_path / "a.pth", log=history))


# ---- tensors and containers


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: torch.eye(3).to_sparse(), "_rebuild_sparse_tensor"),
        (lambda: torch.eye(3).to_sparse_csr(), "_rebuild_sparse_tensor"),
        (lambda: torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8), "_rebuild_qtensor"),
        (lambda: torch.nested.nested_tensor([WEIGHT, WEIGHT]), "_rebuild_nested_tensor"),
        (lambda: torch.eye(3, device="meta"), "_rebuild_meta_tensor_no_storage"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_that_are_rebuilt_from_unchecked_parts_are_refused(tmp_path, make, name, zipped):
    path = tmp_path / "a.pth"
    torch.save({"a": make()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=rf"contains torch\._utils\.{name}"):
        read_checkpoint(path)
    trusted = "a is a sparse, nested" if zipped else "sparse, nested|not a torch checkpoint"
    with pytest.raises(WeightsError, match=trusted):
        load_weights(torch.nn.Linear(1, 1), path, trust=True)


def test_a_tensor_does_not_reach_beyond_its_storage(tmp_path):
    class Tensor:
        def __init__(self, *layout) -> None:
            self.layout = layout

        def __reduce__(self):
            storage = WEIGHT.storage()
            return torch._utils._rebuild_tensor_v2, (storage, *self.layout, False, OrderedDict())

    for layout in ((0, (4,), (1,)), (9, (3,), (1,)), (0, (3,), (-1,)), (0, (2**40,), (2**40,))):
        torch.save({"a": Tensor(*layout)}, tmp_path / "a.pth")
        with pytest.raises(WeightsError, match="not a torch checkpoint"):
            read_checkpoint(tmp_path / "a.pth")


def test_each_value_and_container_counts_once(monkeypatch):
    monkeypatch.setattr(unpickle, "_MAX_VALUES", 4)
    assert unpickle.plain({"a": (1,)}) == {"a": (1,)}
    with pytest.raises(ValueError, match="more than 4 values"):
        unpickle.plain({"a": (1, 2)})


def test_containers_within_containers_end(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickle, "_MAX_VALUES", 10_000)
    bomb = ["x"]
    for _ in range(40):
        bomb = [bomb] * 10
    circle: list = []
    circle.append(circle)
    for value, message in ((bomb, "more than 10,000 values"), (circle, "recursion")):
        with pytest.raises(WeightsError, match=message):
            read_checkpoint(saved(tmp_path / "a.pth", value=value))


def test_attributes_of_a_dict_do_not_hide_its_methods(tmp_path):
    weights = OrderedDict(weight=WEIGHT)
    weights.keys = weights.values = 5
    torch.save({"state_dict": weights}, tmp_path / "a.pth")
    read = read_checkpoint(tmp_path / "a.pth")["state_dict"]
    assert list(read.keys()) == ["weight"] and torch.equal(*read.values(), WEIGHT)


# ---- archives


def test_a_flipped_bit_of_a_tensor_is_noticed(tmp_path):
    path = saved(tmp_path / "a.pth")
    content = path.read_bytes()
    at = content.index(WEIGHT.numpy().tobytes())
    path.write_bytes(content[: at + 6] + bytes([content[at + 6] ^ 1]) + content[at + 7 :])
    with pytest.raises(WeightsError, match=r"Bad CRC-32 for file 'a/data/0'"):
        read_checkpoint(path)


def test_files_without_checksums_are_read(tmp_path):
    computes = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = saved(tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(computes)
    assert torch.equal(read_checkpoint(path)["state_dict"]["weight"], WEIGHT)


def test_a_compressed_archive_is_refused_since_its_bytes_would_be_taken_for_numbers(tmp_path):
    path = saved(tmp_path / "a.pth")
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    with pytest.raises(WeightsError, match="packed again"):
        read_checkpoint(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, "{nothing"])
def test_metadata_of_safetensors_may_be_any_text(tmp_path, text):
    save_file({"weight": WEIGHT}, tmp_path / "a.safetensors", {"note": text})
    assert read_checkpoint(tmp_path / "a.safetensors")["meta"] == {"note": text}


# ---- resuming


@pytest.fixture(scope="module")
def trained(faces_dir, tmp_path_factory):
    """The work directory of a training of an epoch."""
    work_dir = tmp_path_factory.mktemp("trained")
    Runner.from_cfg(make_face_config(faces_dir, work_dir, train_cfg__max_epochs=1, **BARE)).train()
    return work_dir


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "finished")


def resumed(face_config, path: Path, work_dir: Path | None = None) -> Path:
    """Resumes for an epoch; returns where."""
    cfg = face_config(resume=True, **BARE)
    cfg.load_from, cfg.work_dir = str(path), str(work_dir or cfg.work_dir)
    Runner.from_cfg(cfg).train()
    return Path(cfg.work_dir)


def edit(path: Path, target: Path, **infos) -> Path:
    """Writes a copy in which the best figure so far is a bad one, and other infos are given."""
    checkpoint = torch.load(path, weights_only=False)
    checkpoint["message_hub"]["runtime_info"].update({"best_score": -1.0, **infos})
    torch.save(checkpoint, target)
    return target


def test_the_config_in_a_checkpoint_is_not_executed(finished, face_config, tmp_path):
    trap = tmp_path / "executed"
    checkpoint = torch.load(finished / "epoch_1.pth", weights_only=False)
    checkpoint["meta"]["config"] = f"from os import mkdir\nmkdir({str(trap)!r})\n"
    torch.save(checkpoint, tmp_path / "a.pth")
    runner = Runner.from_cfg(face_config(**BARE))
    runner.resume(str(tmp_path / "a.pth"))
    assert runner.iter == 3 and not trap.exists()

    meta = {"config": checkpoint["meta"]["config"], "epoch": "1", "iter": "3"}
    save_file(checkpoint["state_dict"], tmp_path / "a.safetensors", meta)
    with pytest.raises(WeightsError, match="has no optimizer, message_hub, param_schedulers"):
        runner.resume(str(tmp_path / "a.safetensors"))
    assert not trap.exists()


def test_the_best_weights_of_another_work_directory_stay(finished, face_config):
    (best,) = finished.glob("best_*.pth")
    edit(finished / "epoch_1.pth", finished / "epoch_1.pth")
    work_dir = resumed(face_config, finished / "epoch_1.pth")
    assert best.is_file() and (finished / "epoch_1.pth").is_file()
    assert len(list(work_dir.glob("best_*.pth"))) == 1


def test_the_best_weights_of_the_same_work_directory_are_replaced(finished, face_config):
    (best,) = finished.glob("best_*_epoch_1.pth")
    edit(finished / "epoch_1.pth", finished / "epoch_1.pth")
    resumed(face_config, finished / "epoch_1.pth", finished)
    assert not best.exists() and len(list(finished.glob("best_*_epoch_2.pth"))) == 1


def test_a_checkpoint_cannot_have_files_removed(finished, face_config, tmp_path):
    folder = tmp_path / "best_photos.pth"
    folder.mkdir()
    victims = [tmp_path / "best_thesis.pth", folder / "photo.png", finished / "notes.txt"]
    for victim in victims:
        victim.write_text("mine")
    ids = ["/../../best_thesis", 2**70, None]
    path = finished / "epoch_1.pth"
    edit(path, path, best_ckpt=str(folder), keep_ckpt_ids=ids, last_ckpt=str(victims[0]))
    resumed(face_config, path, finished)
    assert [victim.exists() for victim in victims] == [True] * 3
