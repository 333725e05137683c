"""A loss or gradient that is not finite stops the run and leaves evidence; nothing is zeroed."""

import re
from pathlib import Path

import pytest
import torch

from engine.checkpoint import read_checkpoint
from engine.errors import NonFiniteError
from engine.model.wrappers import unwrap
from engine.replay import replay
from engine.runner import Runner


def replay_in(cfg):
    """Replays the batch that a run of this config saved, in a new run."""
    runner = Runner.from_cfg(cfg)
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return replay(runner.model, wrapper, str(Path(cfg.work_dir, "nan_batch.pth")))


def break_gradient(runner, at_iterations):
    """Makes one parameter's gradient NaN in some iterations."""
    name = "decode_head.conv_seg.bias"
    parameter = dict(runner.model.named_parameters())[name]

    def spoil(grad):
        return grad * float("nan") if runner.iter in at_iterations else grad

    parameter.register_hook(spoil)
    return name


def test_an_infinite_loss_names_the_term_and_saves_the_batch(face_config):
    cfg = face_config(model__decode_head__loss_decode__loss_weight=1e300)
    runner = Runner.from_cfg(cfg)
    with pytest.raises(NonFiniteError, match=r"Iteration 1: decode\.loss_ce is inf.*--replay"):
        runner.train()
    saved = read_checkpoint(Path(cfg.work_dir, "nan_batch.pth"))
    assert saved["data_batch"]["inputs"].shape == (4, 3, 64, 48)
    assert len(saved["img_paths"]) == 4 and saved["iter"] == 0
    report = replay_in(cfg)
    assert saved["img_paths"][0] in report
    assert re.search(r"decode\.loss_ce +inf +inf", report)


def test_a_replay_repeats_the_loss_exactly_and_may_use_another_config(face_config):
    cfg = face_config(optim_wrapper__dtype="float32", model__decode_head__dropout_ratio=0.5)
    runner = Runner.from_cfg(cfg)
    name = break_gradient(runner, {4})
    with pytest.raises(
        NonFiniteError,
        match=rf"Iteration 5: .*finite on rank 0; .*, 1 gradients .*{re.escape(name)}",
    ):
        runner.train()
    report = replay_in(cfg)
    in_the_run, replayed = re.search(r"decode\.loss_ce +(\S+) +(\S+)", report).groups()
    assert in_the_run == replayed, "dropout must be drawn as in the run"
    assert "non-finite gradients in 0 parameters" in report, "the hook is gone"


def test_skipped_steps_are_counted_and_leave_the_weights(face_config):
    cfg = face_config(optim_wrapper__on_nonfinite="skip")
    runner = Runner.from_cfg(cfg)
    break_gradient(runner, {1, 2})
    runner.train()
    assert runner.optim_wrapper.skipped_steps == 2
    assert runner.message_hub.get_scalar("train/skipped_steps").current() == 2
    assert all(p.isfinite().all() for p in runner.model.parameters())


def test_the_count_in_a_row_starts_anew_after_a_good_step_and_outlives_a_stop(face_config):
    skipping = dict(optim_wrapper__on_nonfinite="skip", optim_wrapper__max_skipped=2)
    cfg = face_config(**skipping)
    runner = Runner.from_cfg(cfg)
    break_gradient(runner, {0, 1, 4, 5})
    runner.train()
    assert runner.optim_wrapper.skipped_steps == 4
    cfg = face_config(**skipping, train_cfg__max_epochs=3)
    cfg.resume, cfg.load_from = True, str(Path(runner.work_dir, "epoch_2.pth"))
    runner = Runner.from_cfg(cfg)
    break_gradient(runner, {6})
    with pytest.raises(NonFiniteError, match=r"Iteration 7.*step 3 in a row"):
        runner.train()
    assert runner.optim_wrapper.skipped_steps == 5


def test_too_many_skipped_in_a_row_stop_the_run(face_config):
    cfg = face_config(optim_wrapper__on_nonfinite="skip", optim_wrapper__max_skipped=2)
    runner = Runner.from_cfg(cfg)
    break_gradient(runner, {1, 2, 3})
    with pytest.raises(NonFiniteError, match=r"Iteration 4.*step 3 in a row"):
        runner.train()


def spoil_loss(runner, terms):
    """Makes the model's loss in the second iteration be what ``terms`` makes of it."""
    model = unwrap(runner.model)
    loss = model.loss

    def spoilt(*args, **kwargs):
        losses = loss(*args, **kwargs)
        return terms(losses) if runner.iter == 1 else losses

    model.loss = spoilt


def test_a_term_may_be_a_list_of_tensors_as_mmengine_allows(face_config):
    cfg = face_config()
    runner = Runner.from_cfg(cfg)
    bad = torch.tensor([1.0, float("nan")])
    spoil_loss(runner, lambda losses: {**losses, "loss_extra": [bad, bad]})
    with pytest.raises(NonFiniteError, match=r"Iteration 2: loss_extra is nan"):
        runner.train()


@pytest.mark.parametrize("fault", ["loss", "gradient"])
@pytest.mark.parametrize("fused", [False, True])
def test_of_the_batches_of_a_step_the_one_at_fault_is_saved(face_config, fault, fused):
    cfg = face_config(train_dataloader__batch_size=2, optim_wrapper__accumulative_counts=3)
    cfg.optim_wrapper.dtype = "float32"
    cfg.optim_wrapper.optimizer.fused = fused  # then it is known a step later
    runner = Runner.from_cfg(cfg)
    seen, loss = [], runner.model.loss

    def spoilt(inputs, targets, data_samples):
        losses = loss(inputs, targets, data_samples)
        paths = [sample.img_path for sample in data_samples]
        seen.append(paths)
        if seen.index(paths) != 1:  # the second batch is at fault, whenever it comes
            return losses
        value = losses["decode.loss_ce"]
        if fault == "loss":
            return {**losses, "decode.loss_ce": value * float("nan")}
        value.register_hook(lambda grad: grad * float("inf"))
        return losses

    runner.model.loss = spoilt
    expected = r"decode\.loss_ce is nan" if fault == "loss" else "loss is finite on rank 0"
    with pytest.raises(NonFiniteError, match=f"Iteration 2: .*{expected}"):
        runner.train()
    saved = torch.load(Path(cfg.work_dir, "nan_batch.pth"), weights_only=False)
    assert saved["img_paths"] == seen[1] and saved["iter"] == 1


@pytest.mark.parametrize("index", [1, 5])
@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_what_is_known_a_step_later_is_said_of_its_batch(face_config, index, fault):
    """As on a GPU; the last step of an epoch is known at its end."""
    cfg = face_config(train_dataloader__batch_size=2, optim_wrapper__dtype="float32")
    cfg.optim_wrapper.optimizer.fused = True
    runner = Runner.from_cfg(cfg)
    assert len(runner.train_dataloader) == 6
    loss, seen, name = runner.model.loss, [], "decode_head.conv_seg.bias"

    def spoilt(inputs, targets, data_samples):
        losses = loss(inputs, targets, data_samples)
        seen.append([sample.img_path for sample in data_samples])
        if seen.index(seen[-1]) != index:
            return losses
        if fault == "loss":
            return {**losses, "decode.loss_ce": losses["decode.loss_ce"] * float("nan")}
        bias = dict(runner.model.named_parameters())[name]
        handle = bias.register_hook(lambda grad: handle.remove() or grad * float("nan"))
        return losses

    runner.model.loss = spoilt
    of = (
        r"decode\.loss_ce is nan"
        if fault == "loss"
        else rf"the first being that of {re.escape(name)}"
    )
    with pytest.raises(NonFiniteError, match=f"Iteration {index + 1}: .*{of}.*step was not taken"):
        runner.train()
    is_later, is_blamed = index == 1, fault == "loss"  # of a bad loss the targets are looked at
    assert len(seen) == index + 2 + is_later + is_blamed
    saved = read_checkpoint(Path(cfg.work_dir, "nan_batch.pth"))
    assert saved["img_paths"] == seen[index] and saved["iter"] == index
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_all_ranks_learn_before_a_checkpoint_how_the_last_step_went(face_config, monkeypatch):
    """Only the first asks for the optimizer's state; alone it would leave the others waiting."""
    cfg = face_config(train_dataloader__batch_size=2, optim_wrapper__dtype="float32")
    cfg.optim_wrapper.optimizer.fused = True
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    runner = Runner.from_cfg(cfg)
    monkeypatch.setattr("engine.runner.is_main_process", lambda: False)
    break_gradient(runner, {1})
    with pytest.raises(NonFiniteError, match="Iteration 2: "):
        runner.train()
    assert runner.iter == 1, "before the next step, in which ranks wait for each other"


def test_the_batch_is_saved_even_if_its_loss_cannot_be_computed_again(face_config):
    cfg = face_config()
    runner = Runner.from_cfg(cfg)
    calls = iter(
        [lambda losses: {**losses, "decode.loss_ce": losses["decode.loss_ce"] * float("nan")}]
    )
    spoil_loss(runner, lambda losses: next(calls)(losses))
    with pytest.raises(NonFiniteError, match=r"could not be computed again \(StopIteration"):
        runner.train()
    assert Path(cfg.work_dir, "nan_batch.pth").is_file()


def test_a_full_disk_does_not_hide_what_happened(face_config):
    cfg = face_config(model__decode_head__loss_decode__loss_weight=1e300)
    runner = Runner.from_cfg(cfg)
    Path(cfg.work_dir, "nan_batch.pth").symlink_to("/dev/full")  # which refuses every byte
    with pytest.raises(NonFiniteError, match=r"loss_ce is inf.* The batch could not be saved \("):
        runner.train()
