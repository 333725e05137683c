"""A second run does what is missing, or was made with other settings or of another image."""

import json
import os
import signal
import time
from _thread import interrupt_main
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engine.data.decoding import decode_image
from engine.signals import INTERRUPTED_EXIT_CODE
from mmsapiens.cli import dispatch
from seg.parts.models import EncoderDecoder
from tests.processes import Command

PARTS = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
DEPTH = "depth/synthetic/sapiens_tiny_synthetic_depth-192x144"
POSE = "pose/synthetic/sapiens_tiny_synthetic_coco-192x144"


def written(out):
    """Files of results, and when they were written."""
    return {p.name: p.stat().st_mtime_ns for p in out.iterdir() if not p.name.startswith(".")}


def changed(before, out):
    return {name[:2] for name, when in written(out).items() if before.get(name) != when}


def test_what_is_done_is_not_done_again(infer_command, tmp_path, capsys):
    command, out = infer_command(PARTS)
    assert dispatch(command) == 0
    before = written(out)
    assert len(before) == 9 and dispatch(command) == 0 and not changed(before, out)
    said = capsys.readouterr()
    assert "3 of 3 images are done already" in said.err
    assert said.out.splitlines()[-1].startswith("3 of 3 images done")

    (out / "01.npy").unlink()
    assert dispatch(command) == 0 and changed(before, out) == {"01"}
    before = written(out)
    cv2.imwrite(str(tmp_path / "in/02.png"), np.zeros((70, 50, 3), np.uint8))
    assert dispatch(command) == 0 and changed(before, out) == {"02"}


def test_other_settings_and_overwriting_do_all_again(infer_command, tmp_path):
    command, out = infer_command(PARTS)
    checkpoint = tmp_path / "model.pth"
    dispatch(command)
    for more in (["--opacity", "0.25"], ["--opacity", "0.25", "--overwrite"], ["--flip"]):
        before = written(out)
        at = command.index("--cfg-options")
        dispatch([*command[:at], *more, *command[at:]])
        assert changed(before, out) == {"00", "01", "02"}, more
    before = written(out)
    torch.save({k: v + 0.01 for k, v in torch.load(checkpoint).items()}, checkpoint)
    dispatch(command)
    assert changed(before, out) == {"00", "01", "02"}


def test_results_of_all_people_are_complete_after_a_second_run(infer_command):
    command, out = infer_command(POSE)
    dispatch(command)
    whole = {p.name: p.read_bytes() for p in out.iterdir()}
    (out / "01.json").unlink()
    (out / "coco_results.json").unlink()
    assert dispatch(command) == 0
    rows, expected = (
        json.loads(x)
        for x in ((out / "coco_results.json").read_bytes(), whole["coco_results.json"])
    )
    assert [row["file_name"] for row in rows] == ["00.png", "01.png", "02.png"]
    for row, other in zip(rows, expected, strict=True):
        # Alone, an image is rounded otherwise than with others.
        np.testing.assert_allclose(row["keypoints"], other["keypoints"], rtol=1e-3)
    assert (out / "02.json").read_bytes() == whole["02.json"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_goes_on(infer_command, tmp_path, number):
    command, out = infer_command(PARTS, num=40)
    command[1:1] = ["--batch-size", "3"]
    process = Command(["-m", "mmsapiens", *command])
    while process.poll() is None and not list(out.glob("0[3-9].png")):
        time.sleep(0.01)
    process.send_signal(number)
    said = process.communicate(timeout=120)[0]
    left = {p.name: p.read_bytes() for p in out.iterdir() if not p.name.startswith(".")}
    assert 3 <= len(left) < 120, said
    if number == signal.SIGINT:
        assert process.returncode == INTERRUPTED_EXIT_CODE and "Traceback" not in said
        assert "The same command does the rest." in said and len(left) % 3 == 0
    before = written(out)
    assert dispatch(command) == 0
    again = written(out)
    stems = {name[:2] for name in before}
    files = {stem: [name for name in before if name[:2] == stem] for stem in stems}
    complete = [name for names in files.values() if len(names) == 3 for name in names]
    assert len(again) == 120 and complete
    assert [name for name in complete if before[name] != again[name]] == []
    assert all((out / name).read_bytes() == content for name, content in left.items())
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == [".mmsapiens.json"]
    whole = tmp_path / "whole"
    command[command.index("--output") + 1] = str(whole)
    assert dispatch(command) == 0
    assert all((out / name).read_bytes() == (whole / name).read_bytes() for name in again)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_finishes_the_batch_in_hand(infer_command, monkeypatch, capfd, times):
    """A second one does not; what comes before it is written, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as a shell starts a command
    command, out = infer_command(PARTS, num=8)
    command[1:1] = ["--batch-size", "2"]
    step, batches = EncoderDecoder.forward, []

    def interrupted(self, inputs, *args, **kwargs):
        batches.append(len(inputs))
        if len(batches) == 2:
            for _ in range(times):
                interrupt_main()
        return step(self, inputs, *args, **kwargs)

    monkeypatch.setattr(EncoderDecoder, "forward", interrupted)
    assert dispatch(command) == INTERRUPTED_EXIT_CODE
    said = capfd.readouterr()
    num = 4 if times == 1 else 2
    assert {name[:2] for name in written(out)} == {f"{i:02}" for i in range(num)}
    assert f"{num} of 8 images done" in said.out and batches == [2, 2]
    assert "Once more to stop at once" in said.err and "Traceback" not in said.err
    assert "Interrupted. The same command does the rest." in said.err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.undo()
    assert dispatch(command) == 0 and len(written(out)) == 24


def test_each_image_is_decoded_once(infer_command, monkeypatch, capfd):
    decoded = []

    def decode(data, name, *args, **kwargs):
        decoded.append(str(name))
        return decode_image(data, name, *args, **kwargs)

    for module in ("engine.data.loading", "engine.data.decoding"):
        monkeypatch.setattr(f"{module}.decode_image", decode)
    command, out = infer_command(PARTS)
    assert dispatch(command) == 0
    assert len(decoded) == len(set(decoded)) == 3
    assert "images a second" in capfd.readouterr().err
    picture, labels = cv2.imread(str(out / "01.png")), np.load(out / "01_seg.npy")
    assert picture.shape[0] == labels.shape[0] and (picture > 0).any()


def test_what_failed_is_said_too_when_a_reading_process_is_killed(infer_command, tmp_path):
    command, out = infer_command(PARTS, num=60)
    command[command.index("--num-workers") + 1] = "1"
    (tmp_path / "in/00.png").write_bytes(b"no image")
    process = Command(["-m", "mmsapiens", *command])
    while process.poll() is None and not list(out.glob("0[1-9].png")):
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 2 and "ProcessError: A process that reads data" in said
    assert "00.png (8 bytes) is not an image" in said and "Traceback" not in said


def test_masks_of_another_model_make_other_pictures(infer_command, tmp_path):
    command, out = infer_command(DEPTH)
    masks = tmp_path / "masks"
    masks.mkdir()
    for i in range(3):
        np.save(masks / f"{i:02}.npy", np.eye(70, 50, dtype=bool))
    (masks / ".mmsapiens.json").write_text("one model")
    command[1:1] = ["--seg-dir", str(masks)]
    assert dispatch(command) == 0
    before = written(out)
    assert dispatch(command) == 0 and not changed(before, out)
    (masks / ".mmsapiens.json").write_text("another model")
    assert dispatch(command) == 0 and changed(before, out) == {"00", "01", "02"}
