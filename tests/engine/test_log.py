"""What a training's log says, and what it does not."""

import json
import re
import warnings
from pathlib import Path

import pytest
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from engine.hooks.log_processor import SignificantLogProcessor
from engine.runner import Runner


@METRICS.register_module()
class TinyError(BaseMetric):
    """A figure that four decimals would write as 0.0000."""

    default_prefix = "tiny"

    def process(self, data_batch, data_samples):
        self.results.append(len(data_samples))

    def compute_metrics(self, results):
        return {"error": 1.25e-5}


@pytest.fixture
def logged(face_config):
    """The log of a training with a tiny loss and accumulation, its scalars, and warnings."""
    cfg = face_config(
        model__decode_head__loss_decode__loss_weight=1e-6, optim_wrapper__accumulative_counts=3
    )
    cfg.val_evaluator = [cfg.val_evaluator, dict(type="TinyError")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Runner.from_cfg(cfg).train()
    (log,) = Path(cfg.work_dir).glob("*/*.log")
    (scalars,) = Path(cfg.work_dir).glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    return log.read_text(), rows, [str(warning.message) for warning in caught]


def test_small_numbers_keep_their_digits_and_a_start_warns_of_nothing(logged):
    log, rows, caught = logged
    losses = [row["loss"] for row in rows if "loss" in row]
    written = [float(text) for text in re.findall(r" loss: (\S+)", log)]
    assert written == pytest.approx(losses, rel=1e-3) and 0 < losses[0] < 1e-4
    assert re.findall(r"Epoch\(val\).* tiny/error: (\S+)", log) == ["1.25e-05"]
    assert "WARNING" not in log
    assert not [message for message in caught if "scheduler" in message]


def test_numbers_from_a_tenth_on_look_as_ever():
    scalars = dict(a=0.05, b=0.1, c=12.34567, d=-2e-5, e=0.0, f=3, g="0.0000")
    line = " a: 0.0500  b: 0.1000  c: 12.3457  d: -0.0000  e: 0.0000  f: 3  g: 0.0000"
    assert SignificantLogProcessor()._rewrite(line, scalars) == (
        " a: 0.05  b: 0.1000  c: 12.3457  d: -2e-05  e: 0.0000  f: 3  g: 0.0000"
    )
