"""A run that was interrupted and resumed ends where an uninterrupted one ends, bit for bit."""

import contextlib
import os
import random
import re
import shutil
import signal
import time
from functools import cache
from pathlib import Path

import pytest
import torch

from engine.checkpoint import latest_checkpoint
from engine.errors import ConfigError, OutputError
from engine.runner import Runner
from engine.signals import STOP_SIGNALS, STOPPED_EXIT_CODE
from tests.conftest import ROOT, face_options
from tests.processes import Command

KILLS = int(os.environ.get("MMSAPIENS_TEST_KILLS", "2"))
"""How many times a training is killed in each of the tests of that, at random moments."""

CONFIG = ROOT / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"


def state_of(path):
    saved = torch.load(path, weights_only=False)
    scalars = saved["message_hub"]["log_scalars"]
    return {
        "weights": saved["state_dict"],
        "optimizer": saved["optimizer"]["state"],
        "plain": [
            saved["optimizer"]["param_groups"],
            saved["param_schedulers"],
            saved["meta"]["epoch"],
            saved["meta"]["iter"],
        ],
        "losses": scalars["train/loss"].data[0].tolist(),
        "scores": scalars["val/mIoU"].data[0].tolist(),
    }


def assert_same_state(path, other):
    a, b = state_of(path), state_of(other)
    assert a.pop("plain") == b.pop("plain")
    torch.testing.assert_close(a, b, rtol=0, atol=0)


def assert_same_run(work_dir, other):
    """The last checkpoints hold the same state, and the best are of the same name and weights."""
    assert_same_state(work_dir / "epoch_4.pth", other / "epoch_4.pth")
    best = [sorted(folder.glob("best_*.pth")) for folder in (work_dir, other)]
    assert [path.name for path in best[0]] == [path.name for path in best[1]]
    (a, b) = (torch.load(path, weights_only=False) for (path,) in best)
    torch.testing.assert_close(a["state_dict"], b["state_dict"], rtol=0, atol=0)
    info = [saved["message_hub"]["runtime_info"] for saved in (a, b)]
    assert info[0]["best_score"] == info[1]["best_score"]


def command(work_dir, faces_dir, *, processes=1, resume=False, **extra):
    options = {
        "input_size_hw": (64, 48),
        **face_options(faces_dir),
        "train_cfg.max_epochs": 4,
        "train_cfg.val_interval": 1,
        "val_dataloader.batch_size": 1,  # an evaluation has as many iterations as an epoch
        "train_dataloader.num_workers": 1,
        "train_dataloader.persistent_workers": True,
        "val_dataloader.num_workers": 1,
        "custom_hooks": [],
        **{key.replace("__", "."): value for key, value in extra.items()},
    }
    launch = ["-m", "mmsapiens.ranks", str(processes)]
    return [
        *(launch if processes > 1 else []),
        str(ROOT / "tools/train.py"),
        str(CONFIG),
        *("--work-dir", str(work_dir)),
        *(["--launcher", "pytorch"] if processes > 1 else []),
        *(["--resume"] if resume else []),
        *("--cfg-options", *(f"{k}={v}".replace(" ", "") for k, v in options.items())),
    ]


def start(args):
    return Command(args, env={"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"})


def finish(process, code=0):
    output = process.communicate(timeout=240)[0]
    assert process.returncode == code, output[-4000:]
    return output


def read_until(process, pattern, num):
    """Reads the log until ``num`` lines fit; False if the training ends before."""
    seen = 0
    for line in process.stdout:
        seen += re.search(pattern, line) is not None
        if seen == num:
            return True
    return False


def wait_for_iterations(process, num):
    """Reads the log until ``num`` iterations of this process are done."""
    assert read_until(process, r"Epoch\(train\)", num), "it ended before it could be interrupted"


def descendants(pid):
    """Ids of a process and of all below it; torchrun's have sessions of their own."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


def kill(process):
    """Ends a training and all its processes at once, as a power failure does."""
    for pid in reversed(descendants(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def batch_of(processes):
    return {"processes": processes, "train_dataloader__batch_size": 4 // processes}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, faces_dir):
    """Returns the work dir of a run of some processes, which is made once."""

    @cache
    def run(processes=1):
        work_dir = tmp_path_factory.mktemp("uninterrupted")
        finish(start(command(work_dir, faces_dir, **batch_of(processes))))
        return work_dir

    return run


@pytest.mark.parametrize("processes", [1, 2])
def test_kills_at_random_moments_change_nothing(uninterrupted, faces_dir, tmp_path, processes):
    """In start-ups, epochs, evaluations and the saving of checkpoints."""
    rng, kills, runs = random.Random(0), 0, 0
    while kills < KILLS:
        runs += 1
        work_dir, ended = tmp_path / str(runs), False
        while not ended:
            process = start(command(work_dir, faces_dir, resume=True, **batch_of(processes)))
            events = rng.randrange(10) if kills < KILLS else 0
            moment = r"Epoch\((train|val)\)|Saving checkpoint|best so far|Checkpoints will be"
            if kills < KILLS and (not events or read_until(process, moment, events)):
                time.sleep(0.3 * rng.random())
                kill(process)
                kills += 1
            else:
                finish(process)
                ended = True
        assert_same_run(uninterrupted(processes), work_dir)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_exits_with_its_own_code(uninterrupted, faces_dir, tmp_path, number):
    process = start(command(tmp_path, faces_dir))
    wait_for_iterations(process, 4)  # in the middle of the second epoch of three iterations
    os.killpg(process.pid, number)  # workers receive it too, as they do on clusters
    output = finish(process, STOP_SIGNALS[number])
    assert output.count("Stopping on a signal") == 1 and "Traceback" not in output
    (saved,) = tmp_path.glob("iter_*.pth")
    assert int(re.findall(r"\d+", saved.name)[0]) % 3 != 0, "the test wants the middle of an epoch"
    output = finish(start(command(tmp_path, faces_dir, resume=True)))
    assert f"resumed epoch: 1, iter: {saved.stem.removeprefix('iter_')}" in output
    assert_same_state(uninterrupted() / "epoch_4.pth", tmp_path / "epoch_4.pth")


def test_two_processes_stop_together_and_resume(uninterrupted, faces_dir, tmp_path):
    process = start(command(tmp_path, faces_dir, **batch_of(2)))
    wait_for_iterations(process, 5)
    os.kill(process.pid, signal.SIGTERM)  # which passes it on to its ranks
    finish(process, STOPPED_EXIT_CODE)
    assert list(tmp_path.glob("iter_*.pth"))
    finish(start(command(tmp_path, faces_dir, resume=True, **batch_of(2))))
    assert_same_run(uninterrupted(2), tmp_path)


def test_two_processes_equal_one_with_twice_the_batch(faces_dir, tmp_path):
    exact = {
        "optim_wrapper__dtype": "float32",
        "model__decode_head__dropout_ratio": 0.0,
        "train_cfg__val_interval": 4,
    }
    finish(start(command(tmp_path / "one", faces_dir, **exact)))
    two = {"train_dataloader__batch_size": 2, "val_dataloader__batch_size": 3}
    output = finish(start(command(tmp_path / "two", faces_dir, processes=2, **exact, **two)))
    one_state = state_of(tmp_path / "one" / "epoch_4.pth")
    two_state = state_of(tmp_path / "two" / "epoch_4.pth")
    assert len(one_state["losses"]) == 12
    torch.testing.assert_close(
        torch.tensor(two_state["losses"]), torch.tensor(one_state["losses"]), rtol=0, atol=1e-5
    )
    metrics = [
        re.findall(r"mIoU: ([\d.]+)  mAcc: ([\d.]+)  aAcc: ([\d.]+)", text)
        for text in (output, (next((tmp_path / "one").glob("*/*.log"))).read_text())
    ]
    # 4 images, batches of 3 over 2 ranks: the uneven rest must count exactly once.
    assert len(metrics[0]) == 1 and metrics[0] == metrics[1]


def test_a_rank_that_dies_ends_the_job_with_its_error(faces_dir, tmp_path):
    broken = tmp_path / "faces"
    shutil.copytree(faces_dir, broken)
    for path in sorted(broken.glob("??????.png"))[::2]:
        path.write_bytes(b"no image")
    process = start(command(tmp_path / "work", broken, processes=2))
    output = process.communicate(timeout=240)[0]
    assert process.returncode != 0
    assert re.search(r"DataError: .*\.png \(8 bytes\) is not an image", output), output[-3000:]


def test_a_truncated_checkpoint_is_passed_over(face_config):
    cfg = face_config()
    Runner.from_cfg(cfg).train()
    older, newest = (Path(cfg.work_dir, f"epoch_{i}.pth") for i in (1, 2))
    content = newest.read_bytes()
    assert latest_checkpoint(cfg.work_dir) == str(newest)
    rng = random.Random(0)
    for length in [0, len(content) - 1, *(rng.randrange(len(content)) for _ in range(20))]:
        newest.write_bytes(content[:length])
        assert latest_checkpoint(cfg.work_dir) == str(older), length
    cfg.resume = True
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 6)


def test_resuming_from_nothing_needs_the_pretrained_weights(face_config):
    """As the first job of a requeueing script does; without them it would train from scratch."""
    cfg = face_config(
        resume=True, model__backbone__init_cfg=dict(type="Pretrained", checkpoint="nowhere.pth")
    )
    with pytest.raises(ValueError, match=r"nowhere\.pth"):
        Runner.from_cfg(cfg).train()


def test_another_batch_size_in_the_middle_of_an_epoch_is_an_error(face_config):
    cfg = face_config()
    runner = Runner.from_cfg(cfg)
    runner.train()
    runner.save_checkpoint(cfg.work_dir, "iter_5.pth", meta={"epoch": 1, "iter": 5})
    cfg = face_config(train_dataloader__batch_size=6)
    cfg.resume, cfg.load_from = True, str(Path(runner.work_dir, "iter_5.pth"))
    with pytest.raises(ConfigError, match="iteration 5, which does not fit 2 batches"):
        Runner.from_cfg(cfg).train()


def test_a_full_disk_leaves_earlier_checkpoints_whole(face_config):
    cfg = face_config()
    runner = Runner.from_cfg(cfg)
    runner.train()
    before = {p.name: p.read_bytes() for p in Path(cfg.work_dir).glob("*.pth")}
    # /dev/full refuses every byte, as a full disk does.
    Path(cfg.work_dir, "epoch_3.pth.tmp").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"epoch_3\.pth could not .*Earlier checkpoints"):
        runner.save_checkpoint(cfg.work_dir, "epoch_3.pth")
    assert {p.name for p in Path(cfg.work_dir).glob("*.pth*")} == before.keys()
    assert {p.name: p.read_bytes() for p in Path(cfg.work_dir).glob("*.pth*")} == before
