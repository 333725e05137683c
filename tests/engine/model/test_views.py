"""Test views on a model that is a convolution: what it does to a view is known."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.model.views import TestViews, mean_of_views
from seg.parts.models import EncoderDecoder
from seg.registry import MODELS

PAIRS = ((1, 2),)


@MODELS.register_module()
class _Pixels(nn.Module):
    """The image itself as features."""

    embed_dims, patch_size = 3, 4

    def forward(self, x):
        return (x,)


@MODELS.register_module()
class _Classifier(nn.Module):
    """Logits of three classes from a 3 x 3 neighbourhood, at half the resolution."""

    def __init__(self, in_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 3, 3, padding=1, bias=False)

    def forward(self, feats):
        return F.avg_pool2d(self.conv(feats[-1]), 2)


@pytest.fixture
def images():
    return torch.randn(2, 3, 24, 16)


def make(symmetric=True, pairs=PAIRS, **views):
    torch.manual_seed(0)
    cfg = dict(backbone=dict(type="_Pixels"), decode_head=dict(type="_Classifier"))
    model = EncoderDecoder(**cfg, test_views=views or None, swap_seg_labels=pairs)
    if symmetric:  # a mirrored image gives mirrored logits, classes 1 and 2 exchanged
        weight = model.decode_head.conv.weight.data
        weight[0] = weight[0] + weight[0].flip(-1)
        weight[2] = weight[1].flip(-1)
    return model.eval()


def predict(model, images, ori_size_hw=(31, 20)):
    samples = [DataSample(metainfo={"ori_size_hw": ori_size_hw}) for _ in images]
    with torch.no_grad():
        predicted = model(images, samples, mode="predict")
    return torch.cat([sample.pred_sem_seg.data for sample in predicted])


def test_a_symmetric_model_predicts_the_same_with_and_without(images):
    plain = predict(make(), images)
    assert torch.equal(predict(make(flip=True), images), plain)
    assert plain.unique().tolist() == [0, 1, 2]


def test_an_asymmetric_model_becomes_symmetric(images):
    swap = torch.tensor([0, 2, 1], dtype=torch.uint8)
    for views, is_symmetric in ((dict(), False), (dict(flip=True), True)):
        model = make(symmetric=False, **views)
        mirrored = swap[predict(model, images.flip(-1)).flip(-1).long()]
        assert torch.equal(mirrored, predict(model, images)) == is_symmetric


def test_logits_are_averaged_at_the_original_size(images):
    model, size_hw, ori_hw = make(), (24, 16), (31, 20)
    total = 0
    for scale_hw in ((12, 8), (24, 16), (32, 20)):  # of 0.5, 1 and 1.3, in whole patches of 4
        view = F.interpolate(images, scale_hw, mode="bilinear", antialias=True)
        with torch.no_grad():
            logits = model(view if scale_hw != size_hw else images)
        for to_hw in (size_hw, ori_hw):
            logits = F.interpolate(logits, to_hw, mode="bilinear")
        total = total + logits
    predicted = predict(make(flip=False, scales=(0.5, 1.0, 1.3)), images, ori_hw)
    assert torch.equal(predicted, total.argmax(1).to(torch.uint8))


def test_mirroring_needs_to_know_the_pairs(images):
    with pytest.raises(ConfigError, match="which classes a mirror exchanges"):
        make(flip=True, pairs=None)
    assert predict(make(pairs=None, scales=(0.5,)), images).shape == (2, 31, 20)


def test_wrong_scales():
    with pytest.raises(ConfigError, match="factors > 0"):
        make(scales=(1.0, 0.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([True], r"expected dict\(flip=True, scales=\(1\.0,\)\), found \[True\]"),
        (dict(flip=1), r"flip: expected True or False, found 1"),
        (dict(filp=True), 'nothing reads the key "filp"'),
        (dict(scales=()), "factors > 0"),
        (dict(scales=1.0), "factors > 0"),
        (dict(scales=(True,)), "factors > 0"),
        (dict(scales=("1",)), "factors > 0"),
    ],
)
def test_wrong_views(options, message):
    with pytest.raises(ConfigError, match=f"model.test_views.*{message}"):
        TestViews(options)


@pytest.mark.parametrize(
    ("scale", "size_hw"), [(0.01, (4, 4)), (0.6, (16, 8)), (0.65, (16, 12)), (1, (24, 16))]
)
def test_views_are_of_whole_patches_one_at_least(images, scale, size_hw):
    seen = []
    TestViews(dict(scales=[scale])).predict(lambda x: seen.append(x) or x, None, images, 4)
    assert tuple(seen[0].shape[-2:]) == size_hw


def test_views_of_two_sizes_are_averaged_at_the_larger_unless_one_is_given():
    small, large = torch.rand(1, 3, 4, 6), torch.rand(1, 3, 8, 12)
    enlarged = F.interpolate(small, (8, 12), mode="bilinear")
    torch.testing.assert_close(mean_of_views([small, large]), (enlarged + large) / 2)
    shrunk = F.interpolate(large, (4, 6), mode="bilinear")
    torch.testing.assert_close(mean_of_views([small, large], (4, 6)), (small + shrunk) / 2)
    assert mean_of_views([small]) is small
    assert torch.equal(mean_of_views([small], (8, 12)), enlarged)
