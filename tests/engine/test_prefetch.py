"""Batches come in order, as they are on a CPU, and copied one ahead on a GPU."""

from contextlib import contextmanager

import pytest
import torch

from engine.prefetch import prefetch


@pytest.mark.parametrize("num", [0, 1, 5])
def test_on_a_cpu_batches_are_yielded_as_they_are(num):
    batches, moved = [object() for _ in range(num)], []
    assert list(prefetch(batches, moved.append, torch.device("cpu"))) == batches and not moved


class Stream:
    """Notes what is done on it."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")

    def record_event(self):
        return f"copy {self.log[-1].split()[-1]}"

    def wait_event(self, event):
        self.log.append(f"{self.name} waits for {event}")


@pytest.mark.parametrize("num", [0, 1, 3])
def test_on_a_gpu_a_batch_is_copied_while_the_one_before_it_is_worked_on(num, monkeypatch):
    """The order of what is queued; a machine without a GPU has no streams of its own."""
    log, current = [], []
    main = Stream("main", log)

    @contextmanager
    def on(stream):
        current.append(stream)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("side", log))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: main)
    monkeypatch.setattr(torch.cuda, "stream", on)

    def move(batch):
        log.append(f"{current[-1].name} copies {batch}")
        return batch

    for batch in prefetch(range(num), move, torch.device("cuda")):
        log.append(f"main works on {batch}")
    assert [line for line in log if "works" in line] == [f"main works on {i}" for i in range(num)]
    for i in range(num):
        copied, worked = log.index(f"side copies {i}"), log.index(f"main works on {i}")
        assert log[copied - 1] == "side waits for main"
        assert copied < log.index(f"main waits for copy {i}") < worked
        assert i == 0 or copied < log.index(f"main works on {i - 1}")
