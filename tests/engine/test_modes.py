"""Train and evaluation mode, dropout, and what ranks must agree on: seen in two processes.

With dropout 0, which the demos have, none of this shows.
"""

import math

import pytest
import torch
import torch.distributed as dist
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.errors import NonFiniteError, ProcessError
from engine.infer import find_images, init_model, predict_images
from engine.lock import LOCK_NAME
from engine.model.base import build_model
from engine.model.wrappers import unwrap
from engine.runner import Runner
from tests.conftest import ROOT, TINIEST_ARCH, face_options

CONFIG = ROOT / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"


def load(faces_dir, work_dir, **options):
    """A config of two epochs, each of three iterations of two ranks and an evaluation."""
    small = {
        "input_size_hw": (64, 48),
        **face_options(faces_dir),
        "train_cfg.val_interval": 1,
        "train_dataloader.batch_size": 2,
        "model.decode_head.dropout_ratio": 0.5,
        "custom_hooks": [
            {"type": "PicturesHook", "num_samples": 1, "train_interval": 2},
            {"type": "ThroughputHook"},
        ],
        **{key.replace("__", "."): value for key, value in options.items()},
    }
    cfg = load_config(CONFIG, small)
    cfg.model.backbone.arch = TINIEST_ARCH
    cfg.work_dir = cfg.experiment_name = str(work_dir)
    return cfg


class Passes:
    """Notes the modes of a model, and which channels are dropped, each time that it runs."""

    def __init__(self, model):
        self.model = model
        self.training, self.other = [], []
        model.decode_head.dropout.register_forward_hook(self.note)

    def note(self, layer, inputs, output):
        dropped = (output == 0).all(3).all(2) & (inputs[0] != 0).any(3).any(2)  # (B, C)
        modes = {module.training for module in self.model.modules()}
        passes = self.training if torch.is_grad_enabled() else self.other
        passes.append((modes, dropped))


class Run:
    """A run of one rank, and what it did.

    Args:
        cfg: The config.
        infinite_at: (rank, iteration) at which a term of the loss is infinite.
    """

    def __init__(self, cfg, infinite_at=None):
        cfg.launcher = "pytorch"
        self.runner = Runner.from_cfg(cfg)
        self.model = unwrap(self.runner.model)
        self.passes = Passes(self.model)
        self.losses, self.weights = [], []
        self.infinite_at = infinite_at
        self.loss, self.model.loss = self.model.loss, self.noted_loss

    def noted_loss(self, *args, **kwargs):
        self.note_weights()
        losses = self.loss(*args, **kwargs)
        self.losses.append(float(losses["decode.loss_ce"]))
        if self.infinite_at != (dist.get_rank(), self.runner.iter):
            return losses
        # Added, so that the gradients, which all ranks share, stay finite.
        return {**losses, "decode.loss_ce": losses["decode.loss_ce"] + math.inf}

    def note_weights(self):
        self.weights.append(torch.cat([p.detach().flatten() for p in self.model.parameters()]))

    def train(self):
        self.runner.train()
        self.note_weights()
        logs = self.runner.message_hub.log_scalars.items()
        return {
            "training": self.passes.training,
            "other": self.passes.other,
            "losses": self.losses,
            "weights": self.weights,
            "logged": {name: log.data[0].tolist() for name, log in logs},
            "skipped": self.runner.optim_wrapper.skipped_steps,
        }


def refusal(act, kind):
    """What an error of that kind says."""
    with pytest.raises(kind) as caught:
        act()
    return str(caught.value)


def run_rank(rank, folder, faces_dir):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    whole = Run(load(faces_dir, folder / "whole"))
    seen = {"whole": whole.train()}
    whole.runner.test()
    again = {"resume": True, "load_from": str(folder / "whole" / "epoch_1.pth")}
    seen["resumed"] = Run(load(faces_dir, folder / "resumed", **again)).train()
    one_epoch = {"train_cfg__max_epochs": 1, "custom_hooks": []}
    skip = load(
        # Without a schedule, whose last iteration has a rate of 0.
        faces_dir,
        folder / "skip",
        optim_wrapper__on_nonfinite="skip",
        param_scheduler=None,
        **one_epoch,
    )
    seen["skip"] = Run(skip, infinite_at=(1, 1)).train()
    stop = Run(load(faces_dir, folder / "stop", **one_epoch), infinite_at=(1, 1))
    seen["stop"] = refusal(stop.train, NonFiniteError)
    seen["taken"] = refusal(Run(load(faces_dir, folder / "taken")).train, ProcessError)
    torch.save(seen, folder / f"rank{rank}.pth")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, faces_dir):
    """What each of two ranks saw."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "taken").mkdir()
    (folder / "taken" / LOCK_NAME).write_text("elsewhere\n7\n2026-01-01\n\n")
    torch.multiprocessing.spawn(run_rank, (folder, faces_dir), nprocs=2)
    return [torch.load(folder / f"rank{rank}.pth", weights_only=False) for rank in range(2)]


def test_steps_train_with_dropout_also_after_evaluations_and_pictures(ranks):
    for rank in ranks:
        assert len(rank["whole"]["training"]) == 6
        for modes, dropped in rank["whole"]["training"]:
            assert modes == {True}
            assert 0.25 < dropped.float().mean() < 0.75


def test_evaluations_and_pictures_drop_nothing(ranks):
    pictures, evaluations = [3, 0], 3  # only the first rank draws; two validations and a test
    for rank, num_pictures in zip(ranks, pictures, strict=True):
        assert len(rank["whole"]["other"]) == num_pictures + evaluations
        for modes, dropped in rank["whole"]["other"]:
            assert modes == {False} and not dropped.any()


def test_what_is_dropped_differs_between_ranks_and_iterations(ranks):
    drawn = [dropped for rank in ranks for _, dropped in rank["whole"]["training"]]
    assert len({tuple(dropped.flatten().tolist()) for dropped in drawn}) == 12


def test_a_resumed_run_drops_the_same(ranks):
    for rank in ranks:
        resumed, whole = rank["resumed"]["training"], rank["whole"]["training"][3:]
        assert len(resumed) == len(whole) == 3
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(resumed, whole, strict=True))
        assert torch.equal(rank["resumed"]["weights"][-1], rank["whole"]["weights"][-1])


def test_ranks_have_one_model_whatever_each_drops(ranks):
    for first, second in zip(*(rank["whole"]["weights"] for rank in ranks), strict=True):
        assert torch.equal(first, second)
    first, *_, last = ranks[0]["whole"]["weights"]
    assert not torch.equal(first, last)


def test_the_log_has_the_mean_of_the_ranks(ranks):
    first, second = (torch.tensor(rank["whole"]["losses"]) for rank in ranks)
    assert not torch.equal(first, second)
    for rank in ranks:
        logged = torch.tensor(rank["whole"]["logged"]["train/loss"])
        torch.testing.assert_close(logged, (first + second) / 2, rtol=0, atol=1e-6)


def test_the_speed_is_that_of_all_ranks(ranks):
    for rank in ranks:
        logged = rank["whole"]["logged"]
        seconds = logged["train/time"][0]
        assert logged["train/images_per_s"][0] == pytest.approx(2 * 2 / seconds)


def test_all_ranks_skip_a_step_that_is_infinite_on_one(ranks):
    for rank in ranks:
        before, first, second, after = rank["skip"]["weights"]
        assert rank["skip"]["skipped"] == 1
        assert torch.equal(first, second) and not torch.equal(before, first)
        assert not torch.equal(second, after) and after.isfinite().all()
    assert torch.equal(ranks[0]["skip"]["weights"][-1], ranks[1]["skip"]["weights"][-1])


def test_each_rank_says_whether_its_own_batch_is_at_fault(ranks):
    errors = [rank["stop"] for rank in ranks]
    assert "finite on rank 0; the loss, of all ranks" in errors[0]
    assert "Iteration 2: decode.loss_ce is inf" in errors[1] and "nan_batch_rank1.pth" in errors[1]


def test_the_work_directory_of_another_is_refused_by_all_ranks(ranks):
    for rank in ranks:
        assert "process 7 on elsewhere, since 2026-01-01. Each" in rank["taken"]
        assert "If it has ended, delete" in rank["taken"] and LOCK_NAME in rank["taken"]


def test_inference_drops_nothing(faces_dir, tmp_path):
    cfg = load(faces_dir, tmp_path)
    init_default_scope(cfg.default_scope)
    torch.save({"state_dict": build_model(cfg.model).state_dict()}, tmp_path / "weights.pth")
    model, _ = init_model(cfg, str(tmp_path / "weights.pth"), "cpu")
    passes = Passes(model)
    list(predict_images(model, cfg, find_images(str(faces_dir / "000000.png")), num_workers=0))
    assert passes.other and not passes.training
    assert all(modes == {False} and not dropped.any() for modes, dropped in passes.other)
