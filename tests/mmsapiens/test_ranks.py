"""The launcher of several processes: what they are told, and how it ends when they do."""

import os
import signal
import subprocess
import sys

import pytest

PRELUDE = """
import os, pathlib, signal, socket, sys, time
R = os.environ["RANK"]
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # in one piece
def until(true):
    while not true():
        time.sleep(0.01)
"""


def launch(code, num=2, before=""):
    """Starts the launcher with ``num`` processes that run Python code."""
    launcher = f"import sys, mmsapiens.ranks as r\n{before}\nsys.exit(r.main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", launcher, str(num), "-c", PRELUDE + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def end(process, code):
    """Waits for the launcher's end; returns what it and its processes printed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    return out.splitlines(), err


def lines(process, num):
    return [process.stdout.readline().strip() for _ in range(num)]


def test_processes_know_each_other_and_their_place():
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    out, _ = end(launch(f"say(*(os.environ[n] for n in {names}))", num=3), 0)
    port = out[0].split()[-1]
    assert sorted(out) == [f"{i} {i} 3 3 127.0.0.1 {port}" for i in range(3)]


def test_the_port_is_kept_for_the_first_of_them():
    code = (
        "port = int(os.environ['MASTER_PORT'])\n"
        "if R == '0':\n"
        "    with socket.create_server(('127.0.0.1', port)) as s: s.accept()[0].send(b'met')\n"
        "else:\n"
        "    def meet():\n"
        "        try: return socket.create_connection(('127.0.0.1', port))\n"
        "        except OSError: return None\n"
        "    while not (s := meet()): time.sleep(0.01)\n"
        "    say(s.recv(9))"
    )
    assert end(launch(code), 0)[0] == ["b'met'"]


def test_the_first_failure_ends_the_others_and_its_code_is_the_end():
    code = "if R == '1': sys.exit(7)\nsignal.pause()"
    end(launch(code, num=3), 7)


def test_who_does_not_end_is_killed_after_a_while(tmp_path):
    code = (
        f"deaf = pathlib.Path({str(tmp_path)!r}, 'deaf')\n"
        "if R == '0':\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN); deaf.touch()\n"
        "    while True: signal.pause()\n"
        "until(deaf.exists); sys.exit(7)"
    )
    end(launch(code, before="r.GRACE_SECONDS = 1"), 7)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR2, 75), (signal.SIGINT, 130)]
)
def test_a_signal_reaches_each_of_them_once_and_they_may_take_their_time(number, code, tmp_path):
    """Those that have saved and ended do not end those that still save."""
    program = (
        "got = []\n"
        f"for n in (signal.SIGTERM, {int(number)}):\n"
        "    signal.signal(n, lambda n, _: got.append(n))\n"
        f"saved = pathlib.Path({str(tmp_path)!r}, 'saved')\n"
        "say('ready'); until(lambda: got)\n"
        "if R == '0':\n"
        "    until(saved.exists)\n"
        "    until(lambda: not pathlib.Path('/proc', saved.read_text()).exists())\n"
        "    say(got)\n"
        "else:\n"
        "    say(got)\n"
        "    saved.with_suffix('.new').write_text(str(os.getpid()))\n"
        "    saved.with_suffix('.new').rename(saved)\n"
        f"sys.exit({code})"
    )
    process = launch(program)
    assert lines(process, 2) == ["ready", "ready"]
    os.kill(process.pid, number)
    assert end(process, code)[0] == [f"[{int(number)}]"] * 2


def test_a_process_that_the_system_killed_is_named():
    code = "if R == '1': os.kill(os.getpid(), signal.SIGKILL)\nsignal.pause()"
    _, err = end(launch(code), 128 + signal.SIGKILL)
    assert err.startswith("Rank 1 (process ") and err.endswith("was ended by SIGKILL.\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processes of a parent's end")
def test_nobody_is_left_when_the_launcher_is_killed():
    process = launch("say('ready')\nwhile True: signal.pause()")
    assert lines(process, 2) == ["ready", "ready"]
    process.kill()
    assert process.communicate(timeout=60)[0] == "", "ends when nobody holds the pipe any more"


@pytest.mark.parametrize("argv", [[], ["two", "-c", "pass"], ["0", "-c", "pass"], ["2"]])
def test_wrong_words_are_a_sentence(argv):
    command = [sys.executable, "-m", "mmsapiens.ranks", *argv]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("expected a number of processes")
