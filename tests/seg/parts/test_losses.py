import pytest
import torch
import torch.nn.functional as F

from engine.errors import ConfigError
from seg.parts.models import CrossEntropyLoss


@pytest.fixture
def logits():
    return torch.randn(2, 3, 4, 5, requires_grad=True)


@pytest.fixture
def labels():
    labels = torch.randint(0, 3, (2, 4, 5))
    labels[0, :2] = 255
    return labels


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_releases_average_divides_by_all_pixels(logits, labels, reduction):
    weight = [0.1, 2.0, 5.0]
    loss = CrossEntropyLoss(class_weight=weight, reduction=reduction)(logits, labels)
    pixels = F.cross_entropy(
        logits, labels, torch.tensor(weight), ignore_index=255, reduction="none"
    )
    torch.testing.assert_close(loss, pixels.sum() / labels.numel())


def test_average_over_valid_pixels(logits, labels):
    loss = CrossEntropyLoss(avg_non_ignore=True)(logits, labels)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels, ignore_index=255))


@pytest.mark.parametrize("ignored", [0, 1, 7, 254])
@pytest.mark.parametrize("avg_non_ignore", [True, False])
def test_any_label_may_be_the_ignored_one(logits, ignored, avg_non_ignore):
    labels = torch.randint(0, 3, (2, 4, 5))
    labels[0, :2] = ignored
    valid = labels != ignored
    criterion = CrossEntropyLoss(ignore_index=ignored, avg_non_ignore=avg_non_ignore)
    loss = criterion(logits, labels.to(torch.uint8))
    loss.backward()
    pixels = F.cross_entropy(logits, labels.where(valid, 0), reduction="none")[valid]
    torch.testing.assert_close(loss, pixels.sum() / (len(pixels) if avg_non_ignore else 40))
    assert (logits.grad.abs().sum(1) > 0).equal(valid)


def test_pixel_weights_and_loss_weight(logits, labels):
    criterion = CrossEntropyLoss(loss_weight=3.0)
    twice = criterion(logits, labels, torch.full(labels.shape, 2.0))
    torch.testing.assert_close(twice, 2 * criterion(logits, labels))


def test_logits_are_resized_to_the_labels(logits):
    labels = torch.randint(0, 3, (2, 9, 11))
    resized = F.interpolate(logits, (9, 11), mode="bilinear")
    criterion = CrossEntropyLoss(class_weight=[0.1, 2.0, 5.0])
    torch.testing.assert_close(criterion(logits, labels), criterion(resized, labels))


def test_no_map_of_the_labels_size_is_kept(logits):
    sizes = []
    labels = torch.randint(0, 3, (2, 64, 80), dtype=torch.uint8)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: sizes.append(x.numel() * x.is_floating_point()) or x, lambda x: x
    ):
        CrossEntropyLoss()(logits, labels)
    assert max(sizes) <= logits.numel()


@pytest.mark.parametrize("avg_non_ignore", [True, False])
def test_nothing_valid_gives_zero_loss_and_gradient(logits, avg_non_ignore):
    labels = torch.full((2, 4, 5), 255)
    loss = CrossEntropyLoss(avg_non_ignore=avg_non_ignore)(logits, labels)
    loss.backward()
    assert loss == 0 and logits.grad.eq(0).all()


def test_wrong_number_of_class_weights(logits, labels):
    with pytest.raises(ConfigError, match="2 class weights for 3 classes"):
        CrossEntropyLoss(class_weight=[1.0, 2.0])(logits, labels)


def test_unsupported_options():
    with pytest.raises(ConfigError, match="use_sigmoid=True"):
        CrossEntropyLoss(use_sigmoid=True)
    with pytest.raises(ConfigError, match="reduction='sum' is not supported"):
        CrossEntropyLoss(reduction="sum")
