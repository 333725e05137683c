import pytest
import torch
from torch import nn

from engine.errors import ConfigError
from engine.model.layers import InstanceNormSiLU
from seg.parts.models import VitHead
from seg.registry import MODELS

NORM_AND_ACTIVATION = nn.Sequential(nn.InstanceNorm2d(1), nn.SiLU())


def make_head(plain=False, **kwargs):
    torch.manual_seed(0)
    layers = dict(deconv_out_channels=(64, 64), deconv_kernel_sizes=(4, 4))
    layers |= dict(conv_out_channels=(64,), conv_kernel_sizes=(1,))
    head = MODELS.build(
        dict(type="VitHead", in_channels=48, num_classes=5, dropout_ratio=0.0, **layers, **kwargs)
    )
    for name, module in list(head.named_modules()):
        if plain and isinstance(module, InstanceNormSiLU):
            head.set_submodule(name, NORM_AND_ACTIVATION)
    return head


def run(head, dtype, batch_size=3):
    """Logits, loss and gradients of a training step."""
    torch.manual_seed(1)
    feats = torch.randn(batch_size, 48, 6, 4, requires_grad=True)
    labels = torch.randint(0, 5, (batch_size, 48, 32))
    labels[0, :5] = 255
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = head([feats])
        loss = head.loss(logits, labels)["loss_ce"]
    loss.backward()
    weights = [p.grad for p in head.parameters() if p.ndim > 1]
    return logits.detach().float(), loss.detach(), [feats.grad, *weights]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_fast_layers_give_the_numbers_of_torchs_own(checkpointing):
    fast = run(make_head(activation_checkpointing=checkpointing), torch.float32)
    plain = run(make_head(plain=True), torch.float32)
    torch.testing.assert_close(fast, plain, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_bfloat16_is_as_exact_as_with_torchs_own_layers(checkpointing):
    """Each number of bfloat16 is off by up to 0.4 %; the average over pixels shows a bias."""
    exact_logits, exact_loss, exact_grads = run(make_head(plain=True), torch.float32)
    fast = run(make_head(activation_checkpointing=checkpointing), torch.bfloat16)
    plain = run(make_head(plain=True), torch.bfloat16)
    assert abs(fast[1] - exact_loss) < 1e-3
    assert (fast[0] - plain[0]).square().mean().sqrt() < 1e-3
    for i, exact in enumerate([exact_logits, *exact_grads]):
        fast_error, plain_error = (
            ([logits, *grads][i] - exact).norm() for logits, _, grads in (fast, plain)
        )
        assert fast_error < 1.1 * plain_error


def test_checkpointing_stores_next_to_nothing_for_two_passes_more(count_calls):
    head = make_head(activation_checkpointing=True)
    calls = count_calls([*head.deconv_layers, *head.conv_layers])
    run(head, torch.float32, batch_size=2)
    assert set(calls) == {2 * 2, 2 * 3}, "the last of a stage is not needed a third time"


@pytest.mark.parametrize("ignored", [255, 0, 9])
def test_accuracy_counts_valid_pixels_only(ignored):
    loss = dict(type="CrossEntropyLoss", ignore_index=ignored)
    head = make_head(ignore_index=ignored, loss_decode=loss)
    logits = torch.zeros(1, 5, 8, 8)
    logits[:, 1] = 1
    labels = torch.full((1, 16, 16), ignored)
    labels[:, :8] = 1
    labels[:, :8, :8] = 2
    assert head.loss(logits, labels)["acc_seg"] == 50.0
    assert head.loss(logits, torch.full_like(labels, ignored))["acc_seg"] == 0.0


def test_an_ignored_class_that_is_predicted_is_not_right():
    loss = dict(type="CrossEntropyLoss", ignore_index=1)
    head = make_head(ignore_index=1, loss_decode=loss)
    logits = torch.zeros(1, 5, 8, 8)
    logits[:, 1] = 1
    labels = torch.ones(1, 16, 16, dtype=torch.long)
    labels[:, :4] = 2
    assert head.loss(logits, labels)["acc_seg"] == 0.0


def test_head_and_loss_must_ignore_the_same_label():
    with pytest.raises(ConfigError, match=r"ignore_index is 0, but its loss ignores 255"):
        VitHead(in_channels=8, num_classes=2, ignore_index=0)


def test_losses_are_logged_under_their_names():
    head = make_head(loss_decode=dict(type="CrossEntropyLoss", loss_name="loss_parts"))
    losses = head.loss(torch.zeros(1, 5, 8, 8), torch.zeros(1, 16, 16, dtype=torch.long))
    assert set(losses) == {"loss_parts", "acc_seg"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(channels=32), "channels=32, but the last layer has 64"),
        (dict(align_corners=True), "align_corners=True is not supported"),
    ],
)
def test_options_of_the_release_that_must_have_one_value(options, message):
    with pytest.raises(ConfigError, match=f"VitHead: {message}"):
        make_head(**options)
    assert make_head(channels=64, align_corners=False).last_channels == 64


def test_a_trace_of_a_checkpointed_head_takes_any_number_of_images():
    head = make_head(activation_checkpointing=True).eval().requires_grad_(False)
    feats = torch.randn(3, 48, 6, 4)
    with torch.no_grad():
        traced = torch.jit.trace(lambda x: head([x]), feats[:2])
        torch.testing.assert_close(traced(feats), head([feats]))
