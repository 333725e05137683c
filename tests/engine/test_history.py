"""Checkpoints do not grow with the length of the training, and the log stays what it was."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor

from engine import history
from engine.history import LEAST, bound_history
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
    hub = MessageHub.get_instance(f"history_{train}_{val}_{len(str(processor))}")
    loops = {
        f"{mode}_loop": SimpleNamespace(dataloader=range(n))
        for mode, n in (("train", 200), ("val", 150))
    }
    runner = SimpleNamespace(log_processor=LogProcessor(**processor), message_hub=hub, **loops)
    for i in range(2000):
        for mode in ("train", "val"):
            hub.update_scalar(f"{mode}/loss", float(i))
        bound_history(runner)
    lengths = [len(hub.get_scalar(f"{mode}/loss").data[0]) for mode in ("train", "val")]
    assert lengths == [train, val]
    assert hub.get_scalar("train/loss").mean(10) == 1994.5


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
