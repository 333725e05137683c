"""Jobs side by side: even shares, devices by name, and a run of infer that several do together."""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from argparse import ArgumentTypeError
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.errors import ConfigError
from mmsapiens.cli import dispatch
from mmsapiens.commands.infer_jobs import parts_of_rest
from mmsapiens.commands.infer_work import Work
from mmsapiens.jobs import Message, device_names, parse_share, run_side_by_side, share_of
from tests.processes import Command

PARTS = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
POSE = "pose/synthetic/sapiens_tiny_synthetic_coco-192x144"


def work(send, value):
    send(value)
    if value == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if value == "failed":
        raise SystemExit(3)
    send(value * 2)


def test_what_jobs_say_and_how_they_end():
    said, ended = {}, {}
    for message in run_side_by_side(work, [("a",), ("killed",), ("failed",)]):
        if message.exit_code is None:
            said.setdefault(message.job, []).append(message.content)
        else:
            ended[message.job] = message.exit_code
    assert said == {0: ["a", "aa"], 1: ["killed"], 2: ["failed"]}
    assert ended == {0: 0, 1: -signal.SIGKILL, 2: 3}


def say_start_method(send):
    send(multiprocessing.get_start_method())
    sys.exit(0)


def test_readers_of_a_job_start_as_those_of_one_job_do():
    """Where that is by fork, a spawned one would import all that the job has, again."""
    said = list(run_side_by_side(say_start_method, [()]))
    assert said == [Message(0, multiprocessing.get_start_method()), Message(0, None, 0)]


@pytest.mark.parametrize(
    ("num", "parts", "sizes"), [(10, 4, [3, 3, 2, 2]), (3, 5, [1, 1, 1, 0, 0]), (8, 2, [4, 4])]
)
def test_shares_are_even_and_hold_everything_once(num, parts, sizes):
    shares = [share_of(range(num), part, parts) for part in range(1, parts + 1)]
    assert [len(share) for share in shares] == sizes
    assert [item for share in shares for item in share] == list(range(num))


@pytest.mark.parametrize(
    ("text", "num_gpus", "jobs", "names"),
    [
        ("all", 2, 1, ["cuda:0", "cuda:1"]),
        ("all", 0, 2, ["cpu", "cpu"]),
        ("0, 3", 4, 1, ["cuda:0", "cuda:3"]),
        ("cuda:1,cpu", 2, 2, ["cuda:1", "cuda:1", "cpu", "cpu"]),
        ("cpu:3", 0, 1, ["cpu"] * 3),
    ],
)
def test_devices_are_named(text, num_gpus, jobs, names):
    assert device_names(text, num_gpus, jobs) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,1", "there is no GPU 1; found 1"),
        ("gpu", "'gpu'"),
        ("cpu:0", "found 'cpu:0'"),
        ("", "found ''"),
    ],
)
def test_devices_that_are_not_there_are_said(text, said):
    with pytest.raises(ConfigError, match=said):
        device_names(text, 1)


def test_shares_are_read():
    assert parse_share("3/8") == (3, 8)
    for text in ("0/8", "9/8", "3", "a/b"):
        with pytest.raises(ArgumentTypeError, match="expected K/N"):
            parse_share(text)


def say_and_wait(send):
    os.write(1, b"waits\n")  # at once, as another says it too
    time.sleep(30)
    os.write(1, b"is left\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processes of a parent's end")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_job_is_left_when_the_run_is_killed(number):
    code = "from mmsapiens.jobs import run_side_by_side as run\n"
    code += "from tests.mmsapiens.test_jobs import say_and_wait\nlist(run(say_and_wait, [(), ()]))"
    process = Command(["-c", code])
    assert [process.stdout.readline() for _ in range(2)] == ["waits\n"] * 2
    assert len(jobs_of(process.pid)) == 2
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == ""  # read until nobody holds the pipe any more


def with_options(command, *options):
    at = command.index("--cfg-options")
    words = [*command[:at], *options, *command[at:]]
    if "--devices" in options:
        where = words.index("--device")
        del words[where : where + 2]
    return words


def when_written(out):
    return {p.name: p.stat().st_mtime_ns for p in out.iterdir() if not p.name.startswith(".")}


def contents(out):
    return {p.name: p.read_bytes() for p in out.iterdir() if not p.name.startswith(".")}


def test_several_jobs_write_what_one_writes(infer_command, tmp_path, capsys):
    command, out = infer_command(POSE, num=5)
    for name in ("04.avi", "05.avi"):  # each goes to one of two jobs, whole
        kind = cv2.VideoWriter.fourcc(*"MJPG")
        video = cv2.VideoWriter(str(tmp_path / "in" / name), kind, 10, (64, 48))
        for value in (50, 100):
            video.write(np.full((48, 64, 3), value, np.uint8))
        video.release()
    assert dispatch(command) == 0
    alone = contents(out)
    for path in out.iterdir():
        path.unlink()
    capsys.readouterr()
    assert dispatch(with_options(command, "--devices", "cpu:2", "--batch-size", "1")) == 0
    assert "5 of 5 images, 2 of 2 videos done" in capsys.readouterr().out
    together = contents(out)
    assert together.keys() == alone.keys()
    names = ("coco_results.json", "03.json")
    for rows, others in [(json.loads(x[n]) for x in (together, alone)) for n in names]:
        assert len(rows) == len(others)
    before = when_written(out)
    assert dispatch(with_options(command, "--devices", "cpu:2", "--batch-size", "1")) == 0
    assert {n for n, when in when_written(out).items() if when != before[n]} <= {
        "coco_results.json", "keypoint_set.json",
    }  # fmt: skip


def test_shares_by_hand_add_up(infer_command, capsys):
    command, out = infer_command(POSE, num=5)
    for part in ("1/2", "2/2"):
        assert dispatch(with_options(command, "--shard", part)) == 0
    said = capsys.readouterr()
    assert "3 of 3 images done" in said.out and "2 of 2 images done" in said.out
    assert "run again without --shard" in said.err and not (out / "coco_results.json").exists()
    assert dispatch(command) == 0
    assert len(json.loads((out / "coco_results.json").read_text())) == 5


def jobs_of(pid):
    """Ids of the jobs of a process, in the order in which they were started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
    return sorted(found)


def test_a_share_of_nothing_is_done(infer_command, capsys):
    command, out = infer_command(PARTS, num=1)
    assert dispatch(with_options(command, "--shard", "2/2")) == 0
    assert f"\n0 of 0 images done; results are in {out}\n" in capsys.readouterr().out


def test_a_share_does_not_undo_the_others(infer_command):
    command, _ = infer_command(PARTS, num=1)
    with pytest.raises(ConfigError, match="--overwrite with --shard"):
        dispatch(with_options(command, "--shard", "1/2", "--overwrite"))


def test_what_a_job_leaves_that_dies_is_taken_over(infer_command, tmp_path):
    command, out = infer_command(PARTS, num=60)
    boxes = {f"{i:02}.png": [[5, 5, 40, 60, 0.9]] for i in range(60)}
    boxes["00.png"].append([60, 0, 80, 9, 0.5])  # outside: the image is done, and the job fails
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    words = with_options(command, "--devices", "cpu:2", "--boxes", str(tmp_path / "boxes.json"))
    process = Command(["-m", "mmsapiens", *words])
    while process.poll() is None and not list(out.glob("3?.png")):  # of the second share
        time.sleep(0.01)
    os.kill(jobs_of(process.pid)[-1], signal.SIGKILL)
    said = process.communicate(timeout=200)[0]
    assert "job 2 of 2, on cpu, ended with code -9" in said and "others take them over" in said
    assert process.returncode == 1 and "60 of 60 images done" in said
    assert said.count("has no area within the image") == 1, "though the image is not done again"
    assert len(contents(out)) == 180


def work_of(command, monkeypatch):
    """The work of a run, before any of it is done."""
    made = []
    monkeypatch.setattr(Work, "here", lambda self, *_: made.append(self) or 0)
    assert dispatch(command) == 0
    return made[0]


@pytest.mark.parametrize(("size", "expected"), [(1, [3, 2, 2]), (2, [2, 2, 2, 2])])
def test_what_is_left_is_shared_evenly_in_whole_batches(infer_command, monkeypatch, size, expected):
    command, out = infer_command(PARTS, num=10)
    command[1:1] = ["--batch-size", str(size)]
    assert dispatch(with_options(command, "--shard", "1/3")) == 0  # 4 of the 10
    (out / "00.png").unlink()
    work = work_of(command, monkeypatch)
    parts = parts_of_rest(work, 3 if size == 1 else 4)
    assert [len(part) for part in parts] == expected
    names = [image.path.stem for part in parts for image in part]
    with_neighbours = ["00", "01"] if size == 2 else ["00"]
    assert names == [*with_neighbours, *(f"{i:02}" for i in range(4, 10))]
    assert parts_of_rest(work, 99) and all(parts_of_rest(work, 99))
