import json
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope

from engine.flops import training_flops
from engine.hooks import ThroughputHook
from engine.runner import Runner


class FakeRunner:
    """What the hook reads of a runner, with steps of known length."""

    def __init__(self, cfg):
        self.cfg = cfg
        init_default_scope(cfg.default_scope)
        self.message_hub = MessageHub("throughput")

    def step(self, hook, batch_size, seconds, data_seconds):
        self.message_hub.update_scalar("train/time", seconds)
        self.message_hub.update_scalar("train/data_time", data_seconds)
        inputs = torch.zeros(batch_size, 3, 64, 48, dtype=torch.uint8)
        hook.after_train_iter(self, 0, {"inputs": inputs})

    def figure(self, name):
        return self.message_hub.get_scalar(f"train/{name}").current()


def test_figures_are_averages_over_the_window(face_config):
    runner, hook = FakeRunner(face_config()), ThroughputHook(window=2)
    hook.before_train(runner)
    hook.peak_tflops = 0.001
    for batch_size, seconds, data_seconds in ((9, 9.0, 9.0), (4, 1.0, 0.5), (2, 2.0, 0.1)):
        runner.step(hook, batch_size, seconds, data_seconds)
    flops = training_flops(runner.cfg.model, (64, 48))
    assert runner.figure("images_per_s") == pytest.approx(6 / 3)
    assert runner.figure("data_share") == pytest.approx(0.6 / 3)
    assert runner.figure("model_tflops") == pytest.approx(2 * flops / 1e12)
    assert runner.figure("mfu") == pytest.approx(runner.figure("model_tflops") / 0.001)
    assert 0.05 < runner.figure("host_gib") < 100


def test_a_training_logs_them(face_config):
    cfg = face_config(train_cfg__max_epochs=1)
    Runner.from_cfg(cfg).train()
    (scalars,) = Path(cfg.work_dir).glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    rows = [row for row in rows if "loss" in row]
    assert len(rows) == 3
    for row in rows:
        assert row["images_per_s"] > 0 and 0 <= row["data_share"] <= 1
        assert row["model_tflops"] > 0 and row["host_gib"] > 0
    (log,) = Path(cfg.work_dir).glob("*/*.log")
    assert "images_per_s: " in log.read_text()
