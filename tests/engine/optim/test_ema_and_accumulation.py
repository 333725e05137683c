"""What MMEngine offers in a line of a config works with this project's runner."""

from pathlib import Path

import torch

from engine.runner import Runner

EMA = [dict(type="EMAHook", momentum=0.2)]
HEAD = "decode_head.conv_seg.weight"


def load(path):
    return torch.load(path, weights_only=False)


def parameters(runner):
    return {name: p.detach().clone() for name, p in runner.model.named_parameters()}


def assert_close(a, b, **tolerances):
    torch.testing.assert_close(
        {name: a[name] for name in a}, {name: b[name] for name in a}, **tolerances
    )


def record_averages(runner, momentum):
    """Averages the parameters as the definition says; returns where the result will be."""
    average = {}

    def update(*args, **kwargs):
        for name, p in runner.model.named_parameters():
            new = p.detach().clone()
            average[name] = average[name].lerp(new, momentum) if name in average else new

    return average, update


def test_ema_weights_are_saved_and_evaluated(face_config):
    runner = Runner.from_cfg(face_config(custom_hooks=EMA))
    average, update = record_averages(runner, momentum=0.2)
    runner._hooks[-1].after_train_iter = _after(runner._hooks[-1].after_train_iter, update)
    evaluated = []
    step = runner.model.val_step
    runner.model.val_step = lambda data: evaluated.append(parameters(runner)) or step(data)
    runner.train()

    checkpoint = load(Path(runner.work_dir, "epoch_2.pth"))
    assert_close(average, checkpoint["state_dict"])
    assert_close(average, evaluated[-1])
    plain = {f"module.{name}": p for name, p in parameters(runner).items()}
    assert_close(plain, checkpoint["ema_state_dict"])
    assert not torch.allclose(average[HEAD], parameters(runner)[HEAD])


def _after(method, then):
    def both(*args, **kwargs):
        method(*args, **kwargs)
        then()

    return both


def test_ema_goes_on_after_a_resumption(face_config):
    whole = face_config(custom_hooks=EMA)
    Runner.from_cfg(whole).train()
    part = face_config(custom_hooks=EMA)
    part.work_dir = whole.work_dir + "_part"
    part.load_from, part.resume = str(Path(whole.work_dir, "epoch_1.pth")), True
    Runner.from_cfg(part).train()
    saved = [load(Path(cfg.work_dir, "epoch_2.pth")) for cfg in (whole, part)]
    for key in ("state_dict", "ema_state_dict"):
        assert_close(saved[0][key], saved[1][key], rtol=0, atol=0)


def test_accumulating_two_batches_equals_one_of_twice_the_size(face_config):
    common = {
        "optim_wrapper__dtype": "float32",
        "model__decode_head__dropout_ratio": 0.0,
        "param_scheduler": [],
        "custom_hooks": [],
    }
    twice = face_config(
        **common, train_dataloader__batch_size=2, optim_wrapper__accumulative_counts=2
    )
    once = face_config(**common)
    assert once.train_dataloader.batch_size == 4
    runners = []
    for cfg in (twice, once):
        # Adam would blow up the rounding of gradients that are zero, as those of biases before a
        # norm are.
        cfg.optim_wrapper.optimizer = dict(type="SGD", lr=0.1, weight_decay=0.0)
        runners.append(Runner.from_cfg(cfg))
        runners[-1].train()
    assert_close(*map(parameters, runners), atol=1e-5, rtol=1e-4)
    assert [runner.iter for runner in runners] == [12, 6]
