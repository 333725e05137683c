"""Benchmarks leave a process as they found it."""

import cv2
import pytest
import torch

from mmsapiens.benchmarks import timing
from mmsapiens.benchmarks.timing import best_seconds, single_threaded


@pytest.fixture
def two_threads():
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(2)
    torch.set_num_threads(2)
    yield
    cv2.setNumThreads(before[0])
    torch.set_num_threads(before[1])


def threads():
    return cv2.getNumThreads(), torch.get_num_threads()


def test_one_thread_is_for_what_is_timed_only(two_threads):
    seen = []
    seconds = best_seconds({"a": lambda: seen.append(threads())}, rounds=2)
    assert set(seen) == {(1, 1)} and seconds["a"] > 0
    assert threads() == (2, 2)
    with pytest.raises(KeyError), single_threaded():
        raise KeyError
    assert threads() == (2, 2), "after an error, too"


def test_the_fastest_second_call_counts(monkeypatch):
    clock = iter([0, 3, 10, 15, 20, 21, 30, 39, 40, 42, 50, 57])  # a and b in turns: 3 5 1 9 2 7
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    calls = []
    tasks = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert best_seconds(tasks, rounds=3) == {"a": 1, "b": 5}
    assert "".join(calls) == "aabb" * 3
