"""Checkpoints do not grow with the length of the training, and the log stays what it was."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor

from engine import history
from engine.history import LEAST, LateMessageHub, longest_window
from engine.runner import Runner


@pytest.mark.parametrize(
    "processor, train, val",
    [
        (dict(), LEAST, 150),
        (dict(window_size=300), 300, 300),
        (dict(custom_cfg=[dict(data_src="loss", window_size=250)]), 250, 250),
        (dict(custom_cfg=[dict(data_src="loss", window_size="epoch")]), 200, 150),
        (dict(custom_cfg=[dict(data_src="loss", window_size="global")]), 2000, 2000),
    ],
)
def test_as_much_is_remembered_as_a_line_of_the_log_needs(processor, train, val):
    hub = LateMessageHub.get_instance(f"history_{train}_{val}_{len(str(processor))}")
    loops = {
        f"{mode}_loop": SimpleNamespace(dataloader=range(n))
        for mode, n in (("train", 200), ("val", 150))
    }
    runner = SimpleNamespace(log_processor=LogProcessor(**processor), message_hub=hub, **loops)
    hub.most = longest_window(runner)
    for i in range(2000):
        for mode in ("train", "val"):
            hub.update_scalar(f"{mode}/loss", float(i) if i % 3 else torch.tensor(float(i)))
    lengths = [len(hub.get_scalar(f"{mode}/loss").data[0]) for mode in ("train", "val")]
    assert lengths == [train, val]
    assert hub.get_scalar("train/loss").mean(10) == 1994.5


def test_figures_of_a_device_are_read_together_when_they_are_asked_for(monkeypatch):
    hub = LateMessageHub.get_instance("late")
    assert MessageHub.get_current_instance() is hub
    read = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda x: read.append(len(x)) or tolist(x))
    loss = torch.zeros(())
    for i in range(5):
        hub.update_scalar("train/time", i)
        hub.update_scalar("train/loss", loss.add_(1))
        hub.update_scalar("train/norm", torch.tensor([2.0 * i]))
        assert hub.get_scalar("train/time").current() == i
    assert not read and hub.last_read("train/loss") is None
    assert hub.get_scalar("train/loss").data[0].tolist() == [1, 2, 3, 4, 5] and read == [10]
    assert hub.last_read("train/loss") == 5
    assert list(hub.log_scalars) == ["train/time", "train/loss", "train/norm"]
    assert hub.get_scalar("train/norm").data[0].tolist() == [0, 2, 4, 6, 8] and read == [10]
    hub.update_scalar("train/loss", torch.tensor(6.0))
    hub.update_scalar("train/loss", 7)
    hub.update_scalar("train/loss", torch.tensor(8))
    hub.update_scalar("train/loss", torch.tensor(9.0))
    saved = hub.state_dict()["log_scalars"]["train/loss"].data[0].tolist()
    assert saved == [*range(1, 10)] and read == [10, 1, 1]
    with pytest.raises(KeyError, match="train/other"):
        hub.get_scalar("train/other")


def test_what_nobody_asks_for_does_not_pile_up():
    hub = LateMessageHub.get_instance("unread")
    for i in range(1500):
        hub.update_scalar("train/loss", torch.tensor(float(i)))
    assert hub.last_read("train/loss") == 1000


def scalars(cfg):
    (path,) = Path(cfg.work_dir).glob("*/vis_data/scalars.json")
    rows = map(json.loads, path.read_text().splitlines())
    return {row["iter"]: (row["loss"], row["grad_norm"]) for row in rows if "loss" in row}


def test_the_averages_of_a_resumed_log_are_those_of_the_whole_one(face_config, monkeypatch):
    monkeypatch.setattr(history, "LEAST", 10)
    settings = dict(train_dataloader__batch_size=1, custom_hooks=[], train_cfg__val_interval=3)
    whole = face_config(**settings, train_cfg__max_epochs=3)
    Runner.from_cfg(whole).train()
    rest = face_config(**settings, train_cfg__max_epochs=3)
    rest.resume, rest.load_from = True, str(Path(whole.work_dir, "epoch_2.pth"))
    Runner.from_cfg(rest).train()
    averages = scalars(whole)
    assert scalars(rest) == {i: averages[i] for i in range(25, 37)}
    saved = torch.load(Path(whole.work_dir, "epoch_2.pth"), weights_only=False)["message_hub"]
    assert {len(b.data[0]) for n, b in saved["log_scalars"].items() if "train/" in n} == {10}
