"""What is saved when, and what is removed: a kill at any line leaves a checkpoint to go on from."""

import multiprocessing
import os
import resource
import signal
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub

from engine.checkpoint import latest_checkpoint, read_checkpoint
from engine.errors import ConfigError
from engine.hooks import CheckpointHook
from engine.prune import keep_last
from engine.runner import Runner

PLAIN = dict(train_cfg__val_interval=1, custom_hooks=[])


def names(folder, pattern="*.pth*"):
    return sorted(path.name for path in Path(folder).glob(pattern))


@pytest.mark.parametrize(
    "keep, upto, left",
    [(2, 100, [9, 10]), (1, 9, [9, 10]), (3, 10, [2, 9, 10]), (0, 10, [1, 2, 9, 10])],
)
def test_the_last_are_those_of_the_highest_numbers(tmp_path, keep, upto, left):
    for name in ("a_1.png", "a_2.png", "a_9.png", "a_10.png", "ba_3.png", "a_3.pngx", "a_b_3.png"):
        (tmp_path / name).touch()
    keep_last(tmp_path, "a_{}.png", keep, upto)
    others = ["ba_3.png", "a_3.pngx", "a_b_3.png"]
    assert names(tmp_path, "*") == sorted([*(f"a_{i}.png" for i in left), *others])


class Listing(Hook):
    """Lists the checkpoints each time that one is about to be written."""

    def __init__(self):
        self.seen = []

    def before_save_checkpoint(self, runner, checkpoint):
        self.seen.append(set(names(runner.work_dir)))


def test_nothing_is_removed_before_what_takes_its_place_is_whole(face_config):
    cfg = face_config(
        **PLAIN,
        train_cfg__max_epochs=3,
        default_hooks__checkpoint__max_keep_ckpts=1,
        default_hooks__checkpoint__save_best="aAcc",
        default_hooks__checkpoint__rule="greater",
        optim_wrapper__optimizer__lr=1e-2,  # it learns that most is background
    )
    runner, listing = Runner.from_cfg(cfg), Listing()
    runner.register_hook(listing)
    Path(cfg.work_dir, "epoch_9.pth.tmp").touch()
    for number in (1, 2, 3, 20):  # of runs that stopped, the last one of another training
        Path(cfg.work_dir, f"iter_{number}.pth").touch()
    runner.train()
    scores = runner.message_hub.get_scalar("val/aAcc").data[0].tolist()
    best = 1 + scores.index(max(scores))
    assert best > 1, "the test wants a best one to be replaced"
    for kind, since in (("epoch_", 1), ("best_", 2)):  # the first of its kind is saved there
        assert all(any(name.startswith(kind) for name in seen) for seen in listing.seen[since:])
    assert names(cfg.work_dir) == [
        f"best_aAcc_epoch_{best}.pth",
        "epoch_3.pth",
        "iter_20.pth",
        "iter_3.pth",
    ]


def test_each_figure_has_a_best_of_its_own(face_config):
    cfg = face_config(**PLAIN, train_cfg__max_epochs=1)
    cfg.default_hooks.checkpoint.update(save_best=["aAcc", "mIoU"], rule="greater")
    runner = Runner.from_cfg(cfg)
    runner.train()
    scores = [runner.message_hub.get_scalar(f"val/{name}").current() for name in ("aAcc", "mIoU")]
    assert scores[0] > scores[1], "the test wants the second to be below the first"
    expected = ["best_aAcc_epoch_1.pth", "best_mIoU_epoch_1.pth"]
    assert names(cfg.work_dir, "best_*") == expected


def write_until(runner, num_bytes):
    """Saves a checkpoint in a process that the system kills when a file gets so long."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))
    runner.save_checkpoint(runner.work_dir, "epoch_3.pth", meta={"epoch": 3, "iter": 9})


def test_a_half_written_file_never_has_the_name_of_a_checkpoint(face_config):
    cfg = face_config(**PLAIN, train_cfg__max_epochs=1)
    runner = Runner.from_cfg(cfg)
    runner.train()
    whole = Path(cfg.work_dir, "epoch_1.pth")
    half = whole.stat().st_size // 2
    writer = multiprocessing.get_context("fork").Process(target=write_until, args=(runner, half))
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGXFSZ
    assert Path(cfg.work_dir, "epoch_3.pth.tmp").stat().st_size == half
    assert not Path(cfg.work_dir, "epoch_3.pth").exists()
    assert latest_checkpoint(cfg.work_dir) == str(whole)


def write(folder, name, started=None, *, age=0, **meta):
    path = Path(folder, name)
    started = {} if started is None else {"started": started}
    torch.save({"meta": {**meta, **started}, "state_dict": {}}, path)
    os.utime(path, (10**9 - age, 10**9 - age))
    return str(path)


def test_the_newest_checkpoint_is_the_one_that_has_come_farthest(tmp_path):
    write(tmp_path, "epoch_9.pth", epoch=9, iter=90)
    last = write(tmp_path, "epoch_10.pth", epoch=10, iter=100, age=50)
    write(tmp_path, "iter_95.pth", epoch=9, iter=95)
    assert latest_checkpoint(tmp_path) == last
    stopped = write(tmp_path, "iter_103.pth", epoch=10, iter=103, age=99)
    assert latest_checkpoint(tmp_path) == stopped
    # Since the batch is larger, an epoch has fewer iterations.
    farthest = write(tmp_path, "epoch_11.pth", epoch=11, iter=55, age=98)
    assert latest_checkpoint(tmp_path) == farthest
    evaluated = write(tmp_path, "iter_55.pth", epoch=11, iter=55, evaluated=True, age=99)
    assert latest_checkpoint(tmp_path) == evaluated


def test_a_checkpoint_with_a_changed_byte_is_passed_over(tmp_path):
    older, newest = write(tmp_path, "epoch_1.pth", epoch=1, iter=10), tmp_path / "epoch_2.pth"
    weights = {"weight": torch.zeros(10_000)}
    torch.save({"meta": {"epoch": 2, "iter": 20}, "state_dict": weights}, newest)
    assert latest_checkpoint(tmp_path) == str(newest)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1  # which changes a weight, and nothing that says what is where
    newest.write_bytes(content)
    assert latest_checkpoint(tmp_path) == older


def test_what_an_earlier_training_left_in_the_folder_is_not_gone_on_with(tmp_path):
    write(tmp_path, "epoch_12.pth", "Monday", epoch=12, iter=120, age=99)
    write(tmp_path, "epoch_2.pth", "Tuesday", epoch=2, iter=20)
    last = write(tmp_path, "epoch_3.pth", "Tuesday", epoch=3, iter=30, age=9)
    assert latest_checkpoint(tmp_path) == last


def test_a_resumption_from_the_work_dir_is_the_same_training_and_from_a_file_another(face_config):
    cfg = face_config(**PLAIN, train_cfg__max_epochs=1)
    Runner.from_cfg(cfg).train()
    first = str(Path(cfg.work_dir, "epoch_1.pth"))
    for load_from, is_same in ((None, True), (first, False)):
        again = face_config(**PLAIN, train_cfg__max_epochs=1)
        again.work_dir, again.resume, again.load_from = cfg.work_dir, True, load_from
        runner = Runner.from_cfg(again)
        runner._timestamp = runner._started = "later"
        runner.train()
        runner.save_checkpoint(cfg.work_dir, "iter_3.pth", meta={"epoch": 1, "iter": 3})
        started = read_checkpoint(Path(cfg.work_dir, "iter_3.pth"))["meta"]["started"]
        assert (started != "later") == is_same


@pytest.mark.parametrize("argument", ["interva", "published_keys"])
def test_arguments_that_nothing_reads(argument):
    with pytest.raises(ConfigError, match=f"nothing reads {argument}"):
        CheckpointHook(**{argument: ["meta"]})


@pytest.mark.parametrize(
    "save_best, names, expected",
    [
        ("mIuO", ["mIoU", "aAcc"], 'nothing reports the save_best "mIuO". Did you mean "mIoU"'),
        (["mIoU", "loss"], ["mIoU"], 'nothing reports the save_best "loss"'),
        ("auto", ["quality", "mIoU"], "Cannot infer the rule for key quality"),
        ("auto", [], "The metrics report nothing"),
    ],
)
def test_a_best_by_a_figure_that_no_metric_reports(save_best, names, expected):
    rule = "greater" if save_best != "auto" else None
    with pytest.raises(ConfigError, match=expected):
        CheckpointHook(save_best=save_best, rule=rule).check_figures(names)


def test_a_best_by_a_figure_that_is_reported():
    for save_best in ("mIoU", "auto", None):
        hook = CheckpointHook(save_best=save_best)
        before = dict(vars(hook))
        hook.check_figures(["mIoU", "aAcc"])
        assert vars(hook) == before


def test_checkpoints_by_iteration_in_a_folder_of_their_own(face_config, tmp_path):
    """Each best one is saved again, as it then knows that it was evaluated."""
    cfg = face_config(**PLAIN, train_cfg__max_epochs=1)
    settings = dict(by_epoch=False, interval=1, max_keep_ckpts=2, save_best="aAcc", rule="greater")
    cfg.default_hooks.checkpoint.update(
        **settings, out_dir=str(tmp_path / "kept"), save_optimizer=False, save_param_scheduler=False
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    folder = tmp_path / "kept" / Path(cfg.work_dir).name
    assert names(cfg.work_dir) == []
    assert names(folder) == ["best_aAcc_iter_3.pth", "iter_2.pth", "iter_3.pth"]
    last, before = (read_checkpoint(folder / f"iter_{i}.pth") for i in (3, 2))
    assert not {"optimizer", "param_schedulers"} & last.keys()
    assert last["meta"]["evaluated"] and not before["meta"].get("evaluated")
    assert (last["meta"]["iter"], before["meta"]["iter"]) == (3, 2)


def test_a_score_as_good_as_the_best_is_no_better_one(tmp_path):
    for rule, scores in (("greater", (0.5, 0.5, 0.6, None)), ("less", (0.5, 0.5, 0.4, None))):
        hook = CheckpointHook(save_best="x", rule=rule)
        hub = MessageHub(f"{tmp_path} {rule}")
        found = [hook._is_best(hub, "x", rule, score) for score in scores]
        assert found == [True, False, True, False]
