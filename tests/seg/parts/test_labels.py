"""Labels at another size are those of resized logits, in every pixel."""

import pytest
import torch
import torch.nn.functional as F

from seg.parts.labels import resized_labels
from seg.parts.models import argmax_at_size


def smooth_logits(num_classes, size_hw, seed=0, detail=4):
    generator = torch.Generator().manual_seed(seed)
    small = torch.randn(1, num_classes, detail, detail, generator=generator)
    return 5 * F.interpolate(small, size_hw, mode="bicubic")[0]


def resized(logits, size_hw):
    return F.interpolate(logits[None], size_hw, mode="bilinear")[0].argmax(0)


@pytest.mark.parametrize("num_classes", [2, 19])
@pytest.mark.parametrize(
    ("size_hw", "target_hw"),
    [
        ((64, 48), (270, 199)),
        ((48, 64), (97, 1000)),
        ((160, 160), (160, 800)),
        ((160, 160), (133, 121)),
    ],
)
def test_enlarged_labels_are_those_of_resized_logits(num_classes, size_hw, target_hw):
    for seed in range(5):
        logits = smooth_logits(num_classes, size_hw, seed)
        labels = resized_labels(logits, target_hw)
        assert labels.dtype == torch.uint8 and tuple(labels.shape) == target_hw
        assert (labels != resized(logits, target_hw)).sum() == 0


def test_a_class_between_pixels_of_others_is_found():
    logits = torch.zeros(3, 8, 8)
    logits[0, :, :4], logits[1, :, 4:] = 10.0, 10.0
    logits[2] = 9.0  # nowhere the best, but half-way between the others
    labels = resized_labels(logits, (8, 80))
    assert labels.unique().tolist() == [0, 1, 2]
    assert (labels != resized(logits, (8, 80))).sum() == 0


def test_ties_go_to_the_lower_class():
    assert resized_labels(torch.zeros(4, 6, 6), (13, 13)) is None  # no pixel is clear
    assert argmax_at_size([torch.zeros(4, 6, 6)], [(13, 13)]).eq(0).all()


def test_noise_is_left_to_plain_resizing():
    noise = torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(0))
    assert resized_labels(noise, (100, 100)) is None
    assert (argmax_at_size([noise], [(100, 100)]) != resized(noise, (100, 100))).sum() == 0


@pytest.mark.parametrize("sizes_hw", [[(64, 48), (300, 225)], [(300, 225)], [(64, 48), (20, 15)]])
def test_views_are_averaged_before_the_labels_are_taken(sizes_hw):
    views = [smooth_logits(19, (32, 24), seed) for seed in (1, 2)]
    if len(sizes_hw) > 1:
        views.append(smooth_logits(19, (48, 36), 3))
    means = []
    for view in views:
        for size_hw in sizes_hw:
            view = F.interpolate(view[None], size_hw, mode="bilinear")[0]
        means.append(view)
    expected = torch.stack(means).mean(0).argmax(0)
    assert (argmax_at_size(views, sizes_hw) != expected).sum() <= 1  # another order of a sum
