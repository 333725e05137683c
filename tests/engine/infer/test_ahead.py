"""Work in a thread, ahead of who wants it; batches of other processes."""

import itertools
import os
import threading

import pytest
import torch
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from engine.errors import ProcessError
from engine.infer.ahead import Ahead
from engine.infer.loader import loading


def alive():
    return "ahead" in {thread.name for thread in threading.enumerate()}


class TestAhead:
    def test_it_is_a_few_items_ahead_and_no_more(self):
        made, third = [], threading.Event()

        def items():
            for i in range(100):
                made.append(i)
                if i == 3:
                    third.set()
                yield i

        with Ahead(items(), 3) as ahead:
            assert next(ahead) == 0 and next(ahead) == 1
            assert third.wait(10)
            assert len(made) <= 5  # two were taken, three may wait
            assert list(itertools.islice(ahead, 3)) == [2, 3, 4]
        assert len(made) < 100 and not alive()

    def test_an_error_comes_after_the_items_before_it(self):
        taken = []
        with Ahead(1 / n for n in (1, 2, 0, 4)) as ahead, pytest.raises(ZeroDivisionError):
            for item in ahead:
                taken.append(item)
        assert taken == [1, 0.5] and not alive()

    def test_work_happens_in_one_other_thread(self):
        with Ahead(threading.get_ident() for _ in range(4)) as ahead:
            (worker,) = set(ahead)
        assert worker != threading.get_ident()


class Numbers(torch.utils.data.Dataset):
    """Its items; one that is None ends the process."""

    def __init__(self, *items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if self.items[index] is None:
            os._exit(3)
        return self.items[index]


class TestLoading:
    @pytest.mark.parametrize("num_workers", [0, 2])
    def test_batches_come_in_order(self, num_workers):
        with loading(Numbers(*range(7)), num_workers, 3, list) as batches:
            assert list(batches) == [[0, 1, 2], [3, 4, 5], [6]]
        with loading(Numbers(), num_workers, None, int) as batches:
            assert list(batches) == []

    def test_processes_end_when_it_is_left_early(self):
        with loading(Numbers(*range(99)), 1, None, int) as batches:
            assert next(batches) == 0
            assert alive() and torch.multiprocessing.active_children()
        del batches
        assert not alive() and not torch.multiprocessing.active_children()

    @pytest.mark.parametrize("error", [ConnectionResetError, EOFError, FileNotFoundError])
    def test_a_process_that_dies_while_it_hands_over_is_an_error(self, error, monkeypatch):
        """Its socket is gone, or does not answer."""

        def lost(loader):
            raise error("of a socket")

        monkeypatch.setattr(_MultiProcessingDataLoaderIter, "_next_data", lost)
        with (
            pytest.raises(ProcessError, match="A process that reads data has ended"),
            loading(Numbers(0, 1), 1, None, int) as batches,
        ):
            list(batches)
        assert not alive()

    def test_a_process_that_dies_is_an_error(self):
        """It is said to the main thread, while another one waits for the batch."""
        with (
            pytest.raises(RuntimeError, match="DataLoader worker"),
            loading(Numbers(0, None), 1, None, int) as batches,
        ):
            list(batches)
        assert not alive()
