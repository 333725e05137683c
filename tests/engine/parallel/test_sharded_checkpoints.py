"""What sharded trainings leave behind: whole or absent, read without running what it contains."""

import pickle
import shutil
from pathlib import Path

import pytest
import torch

from engine.checkpoint import latest_checkpoint, read_checkpoint, read_sharded
from engine.errors import WeightsError
from mmsapiens.cli import dispatch


@pytest.fixture
def saved(two, folder, tmp_path):
    """A work directory with the two last checkpoints."""
    for name in ("epoch_1.dcp", "epoch_2.dcp"):
        shutil.copytree(folder / "fsdp" / name, tmp_path / name)
    return tmp_path


def test_weights_are_left_as_by_any_training(two, folder):
    """Those of the average, as in all checkpoints."""
    file = read_checkpoint(folder / "fsdp" / "epoch_2_weights.pth")
    plain = read_checkpoint(folder / "ddp" / "epoch_2.pth")
    assert file["state_dict"].keys() == plain["state_dict"].keys()
    for name, tensor in file["state_dict"].items():
        assert type(tensor) is torch.Tensor
        if name in two["fsdp"][0].weights:
            assert torch.equal(tensor, two["fsdp"][0].weights[f"ema.{name}"])
    place = ("grid_hw", "patch_padding", "dataset_meta", "epoch", "iter", "cfg")
    assert all(key in file["meta"] for key in place)
    assert set(plain["meta"]) <= set(read_checkpoint(folder / "fsdp" / "epoch_2.dcp")["meta"])


def test_the_last_and_the_best_are_kept_and_nothing_unfinished(two, folder):
    names = {path.name for path in Path(folder, "compiled").iterdir() if "epoch" in path.name}
    best = {name for name in names if name.startswith("best")}
    assert names - best == {"epoch_2.dcp", "epoch_2_weights.pth"}
    assert len(best) == 1 and best.pop().endswith(".dcp")


@pytest.mark.parametrize("target", ["model.pth", "model.safetensors"])
def test_a_folder_is_converted(saved, target):
    assert dispatch(["convert", str(saved / "epoch_2.dcp"), str(saved / target)]) in (0, None)
    whole = read_checkpoint(saved / "epoch_2.dcp")["state_dict"]
    converted = read_checkpoint(saved / target)["state_dict"]
    assert converted.keys() == whole.keys()
    assert all(torch.equal(converted[name], whole[name]) for name in whole)


def test_the_farthest_that_is_whole_is_resumed_from(saved, caplog):
    assert latest_checkpoint(saved) == str(saved / "epoch_2.dcp")
    (saved / "epoch_2.dcp").rename(saved / "epoch_2.dcp.tmp")
    assert latest_checkpoint(saved) == str(saved / "epoch_1.dcp")


@pytest.mark.parametrize("damage", ["cut short", "missing", "no index", "no state"])
def test_a_damaged_one_is_passed_over(saved, damage):
    last = saved / "epoch_2.dcp"
    part = last / "__1_0.distcp"
    if damage == "cut short":
        part.write_bytes(part.read_bytes()[:-1])
    else:
        {"missing": part, "no index": last / ".metadata", "no state": last / "training.pth"}[
            damage
        ].unlink()
    assert latest_checkpoint(saved) == str(saved / "epoch_1.dcp")
    with pytest.raises(WeightsError):
        read_sharded(last)


def test_a_changed_number_is_found(saved):
    part = saved / "epoch_2.dcp" / "__0_0.distcp"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(WeightsError, match=r"cannot be read \(.*__0_0.distcp: the checksum of"):
        read_sharded(part.parent)


class Opens:
    """What would run code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("place", ["alone", "within"])
def test_no_code_of_an_index_runs(saved, tmp_path, place):
    index = saved / "epoch_2.dcp" / ".metadata"
    found = pickle.loads(index.read_bytes())
    found.planner_data = Opens(tmp_path / "ran")
    index.write_bytes(pickle.dumps(found if place == "within" else found.planner_data))
    with pytest.raises(WeightsError, match=r"it names (_?io|builtins)\.open, which could run code"):
        read_checkpoint(index.parent)
    assert not (tmp_path / "ran").exists()


def test_no_index_leads_out_of_its_folder(saved):
    index = saved / "epoch_2.dcp" / ".metadata"
    found = pickle.loads(index.read_bytes())
    shutil.copy(saved / "epoch_2.dcp" / "__0_0.distcp", saved / "__0_0.distcp")
    for info in found.storage_data.values():
        info.relative_path = f"../{info.relative_path}"
    index.write_bytes(pickle.dumps(found))
    with pytest.raises(WeightsError, match=r"\.\./__0_0.distcp is missing or was cut short"):
        read_checkpoint(index.parent)
