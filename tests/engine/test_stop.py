"""Signals ask a training to stop; it does so where it can, or at once."""

import os
import signal

import pytest

from engine.signals import STOP_SIGNALS, STOPPED_EXIT_CODE
from engine.stop import StopRequest
from tests import processes


@pytest.fixture(autouse=True)
def of_a_shell():
    """As a shell starts a command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_noted_with_the_code_that_it_asks_for(number):
    request = StopRequest()
    before = signal.getsignal(number)
    with request.listening():
        assert request.agreed() == 0
        os.kill(os.getpid(), number)
    assert request.agreed() == STOP_SIGNALS[number]
    assert signal.getsignal(number) is before, "who trains in a notebook may go on in it"


def test_a_second_ctrl_c_ends_at_once():
    with StopRequest().listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_process_that_ends_notes_signals_to_its_end():
    """A second one, while it ends, must not give it another exit code."""
    request = StopRequest()
    with pytest.raises(SystemExit), request.listening():
        raise SystemExit(STOPPED_EXIT_CODE)
    os.kill(os.getpid(), signal.SIGTERM)
    assert request.exit_code == STOPPED_EXIT_CODE


def test_who_ignored_ctrl_c_still_does():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as what a script starts in the background
    request = StopRequest()
    with request.listening():
        os.kill(os.getpid(), signal.SIGINT)
    assert request.agreed() == 0


def test_a_signal_before_the_training_ends_it_with_its_code(tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        f"sent = __import__('os').kill(__import__('os').getpid(), {signal.SIGTERM:d})\n"
    )
    done = processes.run(["-m", "mmsapiens", "train", config])
    assert done.returncode == STOPPED_EXIT_CODE, done.stderr
    assert "Traceback" not in done.stderr
