"""What a run of predictions spends its time with."""

from itertools import count

import pytest
import torch
from torch import nn

from engine.infer import pace


class Slow(nn.Module):
    """Takes three seconds of a clock that ticks when it is read."""

    def forward(self, inputs):
        pace.perf_counter()
        pace.perf_counter()
        return inputs


class Model(Slow):
    """Prepares its inputs, in as much time."""

    def __init__(self):
        super().__init__()
        self.data_preprocessor = Slow()

    def test_step(self, inputs):
        return self(self.data_preprocessor(inputs))


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    ticks = count()
    monkeypatch.setattr(pace, "perf_counter", lambda: float(next(ticks)))


def test_models_writing_and_reading_share_the_time():
    first, second = Model(), Model()
    measured = pace.Pace(first, second)
    first.test_step(torch.ones(1))  # eight readings of the clock: twice three seconds
    second(torch.ones(1))
    with measured.of_writing():
        pace.perf_counter()
    # 0 start, 1-8 and 9-12 models, 13-15 writing, 16 now: 9 s, 2 s, and 5 s that are left.
    assert measured.summary(8) == (
        "0.5 images a second; of the time 31% went by waiting for images to be read, 12% for "
        "results to be written."
    )
