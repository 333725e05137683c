"""What a run of predictions spends its time with."""

from itertools import count

import pytest
import torch
from torch import nn

from engine.infer import pace


class Model(nn.Module):
    """Takes three seconds of a clock that ticks when it is read."""

    def forward(self, inputs):
        pace.perf_counter()
        pace.perf_counter()
        return inputs


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    ticks = count()
    monkeypatch.setattr(pace, "perf_counter", lambda: float(next(ticks)))


def test_models_writing_and_reading_share_the_time():
    first, second = Model(), Model()
    measured = pace.Pace(first, second)
    first(torch.ones(1))  # four calls of the clock, three seconds apart
    second(torch.ones(1))
    with measured.of_writing():
        pace.perf_counter()
    # 0 start, 1-4 and 5-8 models, 9-11 writing, 12 now: 6 s, 2 s, and 4 s that are left.
    assert measured.summary(6) == (
        "0.5 images a second; of the time 33% went by waiting for images to be read, 17% for "
        "results to be written."
    )
