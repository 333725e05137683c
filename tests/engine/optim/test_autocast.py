import copy
import math
from functools import partial

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from engine.errors import ConfigError, NonFiniteError
from engine.history import LateMessageHub
from engine.optim import AutocastOptimWrapper
from engine.optim.autocast import _scaler_options
from engine.precision import autocast_context, autocast_dtype

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def make_model(device="cpu"):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 1)).to(device)


def make_data(device="cpu"):
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(1)).to(device)
    return x, x.sum(dim=1, keepdim=True)


def wrap(model, lr=0.05, **kwargs):
    return AutocastOptimWrapper(torch.optim.SGD(model.parameters(), lr=lr), **kwargs)


def train_step(model, wrapper, x, y):
    with wrapper.optim_context(model):
        out = model(x)
        loss = (out.float() - y).square().mean()
    wrapper.update_params(loss)
    return out.dtype, loss.item()


def poison(model, value):
    """Gives one gradient entry a value, whatever the loss says."""
    fill = partial(torch.Tensor.index_fill, dim=0, index=torch.tensor([0]), value=value)
    return model[0].weight.register_hook(fill)


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_bfloat16_trains_float32_parameters(dtype):
    model, (x, y) = make_model(), make_data()
    wrapper = wrap(model, dtype=dtype)
    losses = []
    for _ in range(30):
        out_dtype, loss = train_step(model, wrapper, x, y)
        assert out_dtype == torch.bfloat16
        losses.append(loss)
    assert losses[-1] < 0.2 * losses[0]
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", ["float32", None])
def test_float32_is_plain_training(dtype):
    model, (x, y) = make_model(), make_data()
    plain = copy.deepcopy(model)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05)
    wrapper = wrap(model, dtype=dtype)
    for _ in range(3):
        out_dtype, _ = train_step(model, wrapper, x, y)
        assert out_dtype == torch.float32
        optimizer.zero_grad()
        (plain(x) - y).square().mean().backward()
        optimizer.step()
    torch.testing.assert_close(model.state_dict(), plain.state_dict(), rtol=0, atol=0)


def test_accumulation_equals_one_large_batch():
    (x, y), whole, halves = make_data(), make_model(), make_model()
    train_step(whole, wrap(whole, dtype="float32"), x, y)
    wrapper = wrap(halves, dtype="float32", accumulative_counts=2)
    train_step(halves, wrapper, x[:4], y[:4])
    torch.testing.assert_close(halves.state_dict(), make_model().state_dict(), rtol=0, atol=0)
    train_step(halves, wrapper, x[4:], y[4:])
    torch.testing.assert_close(halves.state_dict(), whole.state_dict())


@pytest.mark.parametrize("norm_type", [2.0, float("inf")])
def test_clipping_bounds_the_norm(norm_type):
    model, (x, y) = make_model(), make_data()
    before = copy.deepcopy(model)
    wrapper = wrap(
        model, lr=1.0, dtype="float32", clip_grad={"max_norm": 0.1, "norm_type": norm_type}
    )
    train_step(model, wrapper, x, y)
    pairs = zip(model.parameters(), before.parameters(), strict=True)
    moved = torch.cat([(new - old).detach().flatten() for new, old in pairs])
    assert moved.norm(norm_type).item() == pytest.approx(0.1, rel=1e-3)
    assert MessageHub.get_current_instance().get_scalar("train/grad_norm").current() > 0.1


def test_clipping_by_value():
    model, (x, y) = make_model(), make_data()
    before = copy.deepcopy(model)
    wrapper = wrap(model, lr=1.0, dtype="float32", clip_grad={"type": "value", "clip_value": 0.01})
    train_step(model, wrapper, x, y)
    for new, old in zip(model.parameters(), before.parameters(), strict=True):
        assert (new - old).abs().max().item() <= 0.01 + 1e-6


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize(
    "clip_grad",
    [None, {"max_norm": 1.0}, {"type": "value", "clip_value": 1.0}],
    ids=["no_clipping", "norm", "value"],
)
def test_a_nonfinite_gradient_is_never_a_step(value, dtype, clip_grad):
    model, (x, y) = make_model(), make_data()
    before = copy.deepcopy(model.state_dict())
    wrapper = wrap(model, dtype=dtype, clip_grad=clip_grad)
    poison(model, value)
    with pytest.raises(NonFiniteError, match=r"the gradients are not finite \(norm (nan|inf)\)"):
        train_step(model, wrapper, x, y)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_nonfinite_steps_can_be_skipped_and_counted():
    model, (x, y) = make_model(), make_data()
    before = copy.deepcopy(model.state_dict())
    wrapper = wrap(model, on_nonfinite="skip", max_skipped=2)
    poison(model, float("nan"))
    for _ in range(2):
        train_step(model, wrapper, x, y)
    assert wrapper.skipped_steps == 2
    with pytest.raises(NonFiniteError, match="step 3 in a row"):
        train_step(model, wrapper, x, y)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_a_nonfinite_loss_is_no_step_even_if_its_gradients_are_finite():
    model, (x, y) = make_model(), make_data()
    before = copy.deepcopy(model.state_dict())
    wrapper = wrap(model)
    with wrapper.optim_context(model):
        loss = (model(x) - y).square().mean() + torch.tensor(float("inf"))
    with pytest.raises(NonFiniteError, match=r"the loss, of all .* is inf"):
        wrapper.update_params(loss)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"clip_grad": {"error_if_nonfinite": True}}, "optim_wrapper.on_nonfinite"),
        ({"on_nonfinite": "zero"}, 'expected "raise" or "skip"'),
        ({"dtype": "float16"}, "float16.* needs a GPU"),
        ({"dtype": "bfloat"}, "dtype: expected one of bfloat16, float16, float32"),
        ({"dtype": "bflaot16"}, 'Did you mean "bfloat16"'),
        ({"loss_scale": 512.0}, "loss_scale: only float16 has one"),
        ({"clip_grad": {"max_nrom": 1.0}}, 'Did you mean "max_norm"'),
        ({"clip_grad": {"norm_type": 1}}, "clip_grad: max_norm is missing"),
        ({"clip_grad": {"type": "value"}}, "clip_grad: clip_value is missing"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ConfigError, match=message):
        wrap(make_model(), **kwargs)


def test_names_of_dtypes():
    assert autocast_dtype("bfloat16") is torch.bfloat16
    assert autocast_dtype(torch.float16) is torch.float16
    for plain in ("float32", torch.float32, None):
        assert autocast_dtype(plain) is None


def test_context_is_left_again():
    x = torch.ones(2, 2)
    with autocast_context("cpu", "bfloat16"):
        assert (x @ x).dtype == torch.bfloat16
    assert (x @ x).dtype == torch.float32


def test_optimizer_state_survives_a_change_of_precision():
    state = wrap(make_model(), lr=0.3).state_dict()
    restored = wrap(make_model(), dtype="float32")
    restored.load_state_dict({**state, "loss_scaler": {"scale": 2.0}})
    assert restored.get_lr() == {"lr": [0.3]}


@needs_gpu
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_float16_trains_and_lowers_its_scale(optimizer):
    model, (x, y) = make_model("cuda"), make_data("cuda")
    kwargs = {"fused": True} if optimizer is torch.optim.AdamW else {}
    wrapper = AutocastOptimWrapper(
        optimizer(model.parameters(), lr=0.05, **kwargs),
        dtype="float16",
        loss_scale={"init_scale": 2.0**40},
        clip_grad={"max_norm": 1.0},
    )
    losses = [train_step(model, wrapper, x, y)[1] for _ in range(80)]
    assert 0 < wrapper.skipped_steps < 40  # 2^40 overflows; some 24 halvings later it does not
    assert losses[0] == losses[wrapper.skipped_steps]
    assert losses[-1] < 0.2 * losses[0]

    resumed = AutocastOptimWrapper(
        optimizer(model.parameters(), lr=0.05, **kwargs), dtype="float16"
    )
    resumed.load_state_dict(wrapper.state_dict())
    assert resumed.state_dict()["loss_scaler"] == wrapper.state_dict()["loss_scaler"]


@needs_gpu
def test_float16_that_always_overflows_is_an_error():
    model, (x, y) = make_model("cuda"), make_data("cuda")
    wrapper = wrap(model, dtype="float16")
    before = copy.deepcopy(model.state_dict())
    model[0].weight.register_hook(lambda grad: grad * float("nan"))
    with pytest.raises(NonFiniteError, match="overflow even at a loss scale"):
        for _ in range(40):
            train_step(model, wrapper, x, y)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_gradients_too_large_for_the_loss_scale_are_skipped_and_lower_it():
    model, (x, y) = make_model(), make_data()
    before = copy.deepcopy(model.state_dict())
    wrapper = wrap(model, dtype="float32", max_skipped=1)
    wrapper.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)  # as float16 has on a GPU
    for skipped in (1, 2, 3):
        train_step(model, wrapper, x, 1000 * y)
        assert wrapper.skipped_steps == skipped
        assert wrapper.scaler.get_scale() == 2.0 ** (127 - skipped)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert MessageHub.get_current_instance().get_scalar("train/grad_scale").current() == 2.0**125
    with pytest.raises(NonFiniteError, match="the loss, of all ranks"):
        train_step(model, wrapper, x, float("inf") * y)


@needs_gpu
def test_a_constant_loss_scale_stays():
    model, (x, y) = make_model("cuda"), make_data("cuda")
    wrapper = wrap(model, dtype="float16", loss_scale=128.0)
    for _ in range(3):
        train_step(model, wrapper, x, y)
    assert wrapper.scaler.get_scale() == 128.0


def test_parameters_without_a_gradient_are_left_out():
    model, (x, y) = make_model(), make_data()
    unused = nn.Linear(3, 3)
    before = copy.deepcopy(unused.state_dict())
    params = [*model.parameters(), *unused.parameters()]
    wrapper = AutocastOptimWrapper(torch.optim.SGD(params, lr=0.05), clip_grad={"max_norm": 1})
    train_step(model, wrapper, x, y)
    torch.testing.assert_close(unused.state_dict(), before, rtol=0, atol=0)
    poison(model, float("nan"))
    with pytest.raises(NonFiniteError, match="the gradients are not finite"):
        train_step(model, wrapper, x, y)


def test_a_norm_may_overflow_though_each_gradient_is_finite():
    model, (x, y) = make_model(), make_data()
    poison(model, 3e38)
    with pytest.raises(NonFiniteError, match=r"the gradients are not finite \(norm inf\)"):
        train_step(model, wrap(model, dtype="float32"), x, y)


def test_a_good_step_ends_the_row_of_skipped_ones():
    model, (x, y) = make_model(), make_data()
    wrapper = wrap(model, on_nonfinite="skip", max_skipped=1)
    for _ in range(3):
        handle = poison(model, float("nan"))
        train_step(model, wrapper, x, y)
        handle.remove()
        train_step(model, wrapper, x, y)
    assert wrapper.skipped_steps == 3
    assert MessageHub.get_current_instance().get_scalar("train/skipped_steps").current() == 3


@pytest.mark.parametrize(
    ("loss_scale", "options"),
    [(None, {}), ("dynamic", {}), (128, {"init_scale": 128.0}), ({"growth_interval": 7},) * 2],
)
def test_options_of_loss_scales(loss_scale, options):
    assert _scaler_options(loss_scale) == options
    with pytest.raises(ConfigError, match='expected "dynamic", a number or a dict, found'):
        _scaler_options("static")


def test_the_least_loss_scale_is_no_error_yet():
    model, (x, y) = make_model(), make_data()
    wrapper = wrap(model, dtype="float32")
    wrapper.scaler = torch.amp.GradScaler("cpu", init_scale=1.1e-4)  # as float16 has on a GPU
    train_step(model, wrapper, x, y)
    wrapper.scaler = torch.amp.GradScaler("cpu", init_scale=9.9e-5)
    with pytest.raises(NonFiniteError, match=r"even at a loss scale of 9\.9e-05"):
        train_step(model, wrapper, x, y)


@pytest.mark.parametrize("norm_type", [1, 2.0])
def test_a_norm_at_the_limit_is_not_clipped(norm_type):
    model, (x, y) = make_model(), make_data()
    plain = copy.deepcopy(model)
    train_step(plain, wrap(plain, dtype="float32"), x, y)
    wrapper = wrap(model, dtype="float32", clip_grad={"max_norm": 1e6, "norm_type": norm_type})
    train_step(model, wrapper, x, y)
    torch.testing.assert_close(model.state_dict(), plain.state_dict())


@pytest.mark.parametrize("losses", [(1.0, math.inf), (math.inf, 1.0)])
def test_the_loss_that_is_told_is_the_sum_of_the_accumulated(losses):
    model = make_model()
    wrapper = wrap(model, dtype="float32", accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    with pytest.raises(NonFiniteError, match="accumulated batches, is inf;"):
        for loss in losses:
            wrapper.update_params(model[0].weight.sum() * 0 + loss)


def fused(model, kind=torch.optim.AdamW, **kwargs):
    """Its optimizer leaves out steps on the device, as on a GPU by default."""
    return AutocastOptimWrapper(kind(model.parameters(), lr=0.05, fused=True), **kwargs)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
@pytest.mark.parametrize("clip_grad", [None, {"max_norm": 0.1}])
def test_steps_left_out_on_the_device_are_those_that_the_host_leaves_out(kind, clip_grad):
    options = {"dtype": "float32", "clip_grad": clip_grad, "on_nonfinite": "skip"}
    models, wrappers = [make_model(), make_model()], []
    for model, is_fused in zip(models, (True, False), strict=True):
        optimizer = kind(model.parameters(), lr=0.05, fused=is_fused)
        wrappers.append(AutocastOptimWrapper(optimizer, **options))
    x, y = make_data()
    for i in range(6):
        for model, wrapper in zip(models, wrappers, strict=True):
            handle = poison(model, float("nan") if i in (2, 5) else 0.5)
            train_step(model, wrapper, x, y)
            handle.remove()
        torch.testing.assert_close(models[0].state_dict(), models[1].state_dict())
    assert [wrapper.skipped_steps for wrapper in wrappers] == [1, 2]  # the last is not known yet
    states = [wrapper.state_dict() for wrapper in wrappers]
    assert states[0]["skipped"] == states[1]["skipped"] == (2, 1)
    if kind is torch.optim.AdamW:
        assert all(state["step"] == 4 for state in states[0]["state"].values())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["gradient", "loss"])
def test_of_a_fused_optimizer_it_is_said_when_the_next_step_begins(value, where):
    model, (x, y) = make_model(), make_data()
    wrapper = fused(model, clip_grad={"max_norm": 1.0})
    train_step(model, wrapper, x, y)
    before = copy.deepcopy(model.state_dict())
    handle = poison(model, value if where == "gradient" else 0.0)
    with wrapper.optim_context(model):
        loss = (model(x) - y).square().mean()
    wrapper.update_params(loss if where == "gradient" else loss + value)
    handle.remove()
    said = "the gradients are not finite" if where == "gradient" else f"the loss, .* is {value}"
    with pytest.raises(NonFiniteError, match=said):
        train_step(model, wrapper, x, y)
    assert wrapper.last_count == 2
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    train_step(model, wrapper, x, y)  # it was said once


def test_a_log_has_the_norm_of_the_last_step_and_leaves_it_to_the_run_to_stop():
    hub = LateMessageHub.get_instance("last step")
    model, (x, y) = make_model(), make_data()
    wrapper = fused(model)
    for _ in range(3):
        train_step(model, wrapper, x, y)
    norms = hub.log_scalars["train/grad_norm"].data[0]
    assert len(norms) == 3 and (norms > 0).all()
    poison(model, float("nan"))
    train_step(model, wrapper, x, y)
    assert len(hub.log_scalars["train/grad_norm"].data[0]) == 3
    with pytest.raises(NonFiniteError, match="gradients"):
        wrapper.state_dict()


def test_loss_scales_of_a_fused_optimizer():
    model, (x, y) = make_model(), make_data()
    before = copy.deepcopy(model.state_dict())
    wrapper = fused(model, dtype="float32")
    wrapper.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)  # as float16 has on a GPU
    for i in range(3):
        train_step(model, wrapper, x, 1000 * y)
        assert wrapper.scaler.get_scale() == 2.0 ** (126 - i)
    assert wrapper.settle() is False and wrapper.skipped_steps == 3
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
