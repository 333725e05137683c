"""What data workers die of is said in one sentence, without their tracebacks."""

import os
import re
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from torch.utils.data import DataLoader

from engine.data.workers import explain
from engine.errors import ConfigError, DataError, ProcessError
from engine.infer.predict import try_predict


class Samples:
    """Samples, of which the second ends its process in some way."""

    def __init__(self, end):
        self.end = end

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.end(index) if index else index


def die(number):
    return lambda _: os.kill(os.getpid(), number)


def refuse(error):
    def raise_it(index):
        try:
            int("a")
        except ValueError as cause:
            raise error from cause

    return raise_it


def failure_of(end):
    with pytest.raises((RuntimeError, ValueError)) as caught:
        list(DataLoader(Samples(end), batch_size=None, num_workers=1))
    return caught.value


@pytest.mark.parametrize(
    "number, text",
    [
        (signal.SIGKILL, "Killed.*memory runs out.*fewer"),
        (signal.SIGBUS, "Bus error.*is full: enlarge /dev/shm"),
        (signal.SIGSEGV, "Segmentation fault.*crashes its decoder"),
    ],
)
def test_a_worker_that_the_system_ends(number, text, capfd):
    error = explain(failure_of(die(number)))
    assert isinstance(error, ProcessError)
    assert re.search(rf"\(process \d+\) was ended by the system: {text}", str(error))


@pytest.mark.parametrize(
    "error", [DataError("a.png is damaged."), ConfigError("a: wrong.\nb: too.")]
)
def test_what_a_worker_raises_is_its_sentence_alone(error):
    found = failure_of(refuse(error))
    assert "Traceback" in str(found)
    assert type(explain(found)) is type(error) and str(explain(found)) == str(error)


def kill_itself(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_pool_that_loses_a_process():
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        error = pool.submit(kill_itself, 0).exception()
    assert isinstance(explain(error), ProcessError)


def test_other_errors_stay_what_they_are():
    errors = (RuntimeError("size of tensor a"), DataError("a"), KeyError("DataLoader worker"))
    assert all(explain(error) is error for error in errors)


def test_a_prediction_during_which_a_worker_ends_did_not_fail():
    def predict():
        raise failure_of(die(signal.SIGKILL))

    with pytest.raises(RuntimeError, match="DataLoader worker"):
        try_predict(predict)
