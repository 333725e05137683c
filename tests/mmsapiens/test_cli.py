"""The command: its verbs, how it starts and how it ends.

The arguments of all verbs are recorded in ``golden/commands.json``, as scripts of users rely on
them; who means to change one runs ``python -m tests.mmsapiens.test_cli``.
"""

import argparse
import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch.distributed as dist
from torch.utils.data import DataLoader

import mmsapiens
from engine.errors import DataError, LostRankError
from engine.signals import INTERRUPTED_EXIT_CODE, LOST_RANK_EXIT_CODE
from mmsapiens.cli import (
    READER_LEFT_EXIT_CODE,
    VERBS,
    build_parser,
    command_of,
    dispatch,
    main,
    overview,
    run_main,
)
from tests.conftest import ROOT
from tests.processes import Command

FACES = {
    "train": "train",
    "test": "test",
    "infer": "infer",
    "submit": "submit",
    "check_data": "check",
    "browse_data": "browse",
    "convert_checkpoint": "convert",
    "export": "export",
    "benchmark": "benchmark",
    "make_synthetic_data": "synthesize",
    "reconstruct": "reconstruct",
    "coco_to_folder": "coco-to-folder",
}


def test_help_needs_neither_torch_nor_mmengine_nor_opencv():
    code = """
import sys
from mmsapiens.cli import VERBS, build_parser, overview
overview()
for verb in VERBS:
    build_parser(verb).format_help()
heavy = {"torch", "mmengine", "mmcv", "cv2", "numpy"} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_what_it_does(verb, capsys):
    first = command_of(verb).__doc__.splitlines()[0]
    assert first in overview() and first in build_parser(verb).format_help()
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    assert f"usage: mmsapiens {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("name, verb", FACES.items())
def test_the_files_of_tools_are_verbs_with_all_their_arguments(name, verb):
    assert FACES.keys() == {path.stem for path in (ROOT / "tools").glob("*.py")}
    kind = {"benchmark": ["data"], "synthesize": ["face"], "submit": ["test"]}.get(verb, [])
    words = [ROOT / "tools" / f"{name}.py", *kind, *"abcde", "--help"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0 and f"usage: mmsapiens {verb}" in done.stdout


def test_an_unknown_verb(capsys):
    assert dispatch(["trian"]) == 2
    assert "Did you mean 'train'?" in capsys.readouterr().err


def test_options_are_pairs(capsys):
    with pytest.raises(SystemExit, match="2"):
        build_parser("train").parse_args(["a.py", "--cfg-options", "compile"])
    assert "'compile': expected key=value" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        build_parser("train").parse_args(["a.py", "--cfg-options", "a=[1"])
    assert "'a=[1': ']' is missing" in capsys.readouterr().err
    args = ["a.py", "--cfg-options", "a=[1,(2,3)]", "--cfg-options", "b.c=x y"]
    assert build_parser("train").parse_args(args).cfg_options == {"a": [1, (2, 3)], "b.c": "x y"}


def raises(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    "function, code, printed, traceback",
    [
        (lambda: None, 0, "", False),
        (lambda: 3, 3, "", False),
        (raises(DataError("[a] is no file.")), 2, "DataError: [a] is no file.", False),
        (raises(KeyError("a")), 1, "KeyError: 'a'", True),
        (raises(OSError(errno.ENOSPC, "No space left", "a/b")), 2, "a/b cannot be used: No", False),
        (raises(OSError(errno.EIO, "Input/output error")), 1, "Input/output error", True),
        (lambda: Path(__file__, "results").mkdir(), 2, "test_cli.py/results cannot be", False),
        (lambda: os.makedirs(__file__, exist_ok=True), 2, "test_cli.py cannot be used", False),
        (lambda: Path("/proc/results").mkdir(), 2, "/proc/results cannot be used", False),
        (lambda: Path("a" * 300).mkdir(), 2, "aaa cannot be used: File name too long", False),
        (raises(KeyboardInterrupt()), INTERRUPTED_EXIT_CODE, "", False),
    ],
)
def test_endings(function, code, printed, traceback, capsys):
    with pytest.raises(SystemExit) as end:
        run_main(function)
    err = capsys.readouterr().err
    assert end.value.code == code
    assert printed in err and ("Traceback" in err) == traceback


@pytest.mark.parametrize("error", [DataError("No data."), KeyError("a"), ImportError("cv2")])
def test_a_rank_of_a_job_leaves_its_error_to_the_job(error, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMSAPIENS_ERROR_FILE", str(tmp_path / "error"))
    with pytest.raises(SystemExit):
        run_main(raises(error))
    assert (tmp_path / "error").read_text() == f"{type(error).__name__}: {error}"


def test_a_rank_that_has_lost_another_says_so_by_its_exit_code(capsys):
    with pytest.raises(SystemExit, match=str(LOST_RANK_EXIT_CODE)):
        run_main(raises(LostRankError("Rank 1 did not answer.")))


@pytest.mark.parametrize("code", [0, 75])
def test_a_rank_that_is_done_ends_its_group_before_python_ends(code):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    with pytest.raises(SystemExit, match=str(code)):
        run_main(raises(SystemExit(code)) if code else lambda: None)
    assert not dist.is_initialized()


def test_a_data_worker_that_is_killed_ends_a_command_with_a_sentence(capsys):
    killed = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    with pytest.raises(SystemExit, match="2"):
        run_main(raises(killed))
    err = capsys.readouterr().err
    assert err.startswith("ProcessError: A process that reads data (process 7) was ended")


def test_the_seed_of_a_command_is_checked_as_that_of_a_config(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "seg/face/sapiens_1b_face-1024x768", "--seed", "-1"])
    assert "randomness.seed: expected a whole number in [0, 4294967295]" in capsys.readouterr().err


def fail_in_a_worker(index):
    try:
        raise ValueError("the cause")
    except ValueError as error:
        raise DataError("a.jpg: is damaged.\nCopy it again.") from error


def test_an_error_of_a_data_worker_is_its_sentence(capsys):
    loader = DataLoader([0], collate_fn=fail_in_a_worker, num_workers=1)
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: list(loader))
    assert ended.value.code == 2
    assert capsys.readouterr().err == "DataError: a.jpg: is damaged.\nCopy it again.\n"


@pytest.mark.parametrize("word", ["doctor", "--help"])
def test_a_reader_that_leaves_is_no_error(word):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "mmsapiens", word]
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (READER_LEFT_EXIT_CODE, "")


def test_a_pipe_that_breaks_elsewhere_is_an_error(capsys):
    with pytest.raises(SystemExit) as end:
        run_main(raises(BrokenPipeError()))
    assert end.value.code == 1 and "Traceback" in capsys.readouterr().err


SYNTHESIZE = ("synthesize", "goliath", "out", "--num", "100000", "--workers")


@pytest.mark.parametrize(
    "words, folder",
    [
        ((*SYNTHESIZE, "1"), "out"),
        ((*SYNTHESIZE, "2"), "out"),
        (("demo", "parts"), "data/synthetic_parts.partial"),
    ],
)
def test_ctrl_c_ends_all_processes_without_a_traceback(words, folder, tmp_path):
    process = Command(["-m", "mmsapiens", *words], tmp_path, {"DATA_ROOT": "data"})
    deadline = time.monotonic() + 60
    while not list((tmp_path / folder).glob("*/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    try:
        output = process.communicate(timeout=60)[0]  # ends when no process holds the pipe any more
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == INTERRUPTED_EXIT_CODE, output
    assert "Traceback" not in output and "KeyboardInterrupt" not in output


@pytest.mark.parametrize(
    "words",
    [
        ("infer", "c", "w", "--input", "a", "--output", "b", "--num-workers", "-1"),
        ("browse", "c", "--num", "0"),
        ("check", "c", "--num-workers", "-1"),
        ("synthesize", "face", "out", "--num", "0"),
    ],
)
def test_counts_that_cannot_be_are_refused(words, capsys):
    with pytest.raises(SystemExit) as stop:
        dispatch(list(words))
    assert stop.value.code == 2
    assert re.search(r"is (negative|not positive)", capsys.readouterr().err)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_without_a_verb_all_are_listed(words, capsys):
    assert dispatch(words) == 0
    assert capsys.readouterr().out == overview()


def test_the_version(capsys):
    assert dispatch(["--version"]) == 0
    assert capsys.readouterr().out == f"mmsapiens {mmsapiens.__version__}\n"


def test_a_verb_that_resembles_none(capsys):
    assert dispatch(["qwertyuiop"]) == 2
    assert "Did you mean" not in capsys.readouterr().err


def test_the_words_of_the_process_are_the_usual_ones(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mmsapiens", "--version"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert capsys.readouterr().out.startswith("mmsapiens ")


def test_an_installation_that_lacks_something_names_the_doctor(capsys):
    with pytest.raises(SystemExit, match="1"):
        run_main(raises(ImportError("No module named 'cv2'")))
    assert "mmsapiens doctor" in capsys.readouterr().err


COMMANDS = ROOT / "tests" / "golden" / "commands.json"


def arguments(parser, name):
    """Yields what a parser and those below it take: how often, and what if not given."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield name, [action.dest, action.required]
            for choice, below in action.choices.items():
                yield from arguments(below, f"{name} {choice}")
        elif not isinstance(action, argparse._HelpAction):
            word = "/".join(action.option_strings) or action.dest
            default = action.default or None if action.nargs == 0 else action.default
            rest = [default, action.const, action.nargs]
            yield f"{name} {word}", [action.dest, action.required, *map(repr, rest)]


def test_scripts_of_users_find_the_arguments_and_their_defaults():
    found = {k: v for verb in VERBS for k, v in arguments(build_parser(verb), verb)}
    expected = json.loads(COMMANDS.read_text())
    assert {key: found.get(key) for key in expected} == expected


if __name__ == "__main__":
    found = {k: v for verb in VERBS for k, v in arguments(build_parser(verb), verb)}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
    COMMANDS.write_text(f"{{\n{lines}\n}}\n")
