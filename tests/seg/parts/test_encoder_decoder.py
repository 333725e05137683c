import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData

from engine.data.sample import DataSample
from engine.errors import ConfigError
from seg.parts.models import argmax_at_size
from seg.registry import MODELS


@pytest.fixture
def recorded(golden):
    return golden("seg")


@pytest.fixture
def model(recorded):
    meta = recorded.meta
    channels = (meta["channels"],) * 3
    model = MODELS.build(
        dict(
            type="EncoderDecoder",
            data_preprocessor=dict(type="DataPreprocessor"),
            backbone=dict(
                type="pretrain.VisionTransformer",
                arch=meta["arch"],
                img_size=meta["img_size"],
                with_cls_token=False,
                out_type="featmap",
            ),
            decode_head=dict(
                type="VitHead",
                num_classes=meta["num_classes"],
                deconv_out_channels=channels,
                conv_out_channels=channels,
            ),
        )
    )
    model.load_state_dict(recorded.state_dict)
    return model.eval()


def test_logits_equal_the_recorded_ones(model, recorded):
    with torch.no_grad():
        logits = model(recorded["in/x"], mode="tensor")
    torch.testing.assert_close(logits, recorded["out/logits"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("weighted, key", [(True, "weighted_none_mean"), (False, "plain")])
def test_losses_equal_the_recorded_ones(model, recorded, weighted, key):
    weight = recorded.meta["class_weight"] if weighted else None
    model.decode_head.loss_decode = MODELS.build(dict(type="CrossEntropyLoss", class_weight=weight))
    samples = [
        DataSample(gt_sem_seg=PixelData(data=gt.to(torch.uint8))) for gt in recorded["in/gt"]
    ]
    losses = model(recorded["in/x"], samples, mode="loss")
    expected = recorded[f"out/loss_ce_{key}"]
    torch.testing.assert_close(losses["decode.loss_ce"], expected, atol=1e-4, rtol=0)


def test_prediction_of_an_image_equals_the_recorded_one(model, recorded):
    image = recorded["in/image_bgr"].numpy()
    height, width = recorded.meta["img_size"]
    resized = cv2.resize(image, (width, height))
    np.testing.assert_array_equal(resized, recorded["in/image_resized_bgr"].numpy())
    batch = {
        "inputs": torch.from_numpy(resized.transpose(2, 0, 1))[None],
        "data_samples": [DataSample(metainfo={"ori_size_hw": image.shape[:2]})],
    }
    with torch.no_grad():
        pred = model.test_step(batch)[0].pred_sem_seg.data
    assert pred.dtype == torch.uint8
    # Only where two recorded logits tie within their float16 storage may the class differ.
    differs = pred[0] != recorded["out/pred_map"][0]
    top2 = recorded["out/pred_logits"].float().topk(2, dim=0).values
    assert (top2[0] - top2[1])[differs].abs().max().item() < 1e-2 if differs.any() else True
    assert differs.float().mean() < 1e-4


@pytest.mark.parametrize("num_classes", [1, 3, 8, 19])
def test_argmax_in_chunks_equals_argmax_of_all(num_classes):
    logits = torch.randn(num_classes, 6, 5)
    sizes_hw = [(12, 10), (31, 17)]
    whole = F.interpolate(logits[None], sizes_hw[0], mode="bilinear")
    whole = F.interpolate(whole, sizes_hw[1], mode="bilinear")
    labels = argmax_at_size([logits], sizes_hw)
    assert torch.equal(labels, whole[0].argmax(0).to(torch.uint8))


@pytest.mark.parametrize("chunk", [1, 3, 19])
@pytest.mark.parametrize("sizes_hw", [[(7, 9)], [(12, 10), (5, 4)], [(31, 17)]])
def test_views_of_two_sizes_are_averaged_at_the_last(sizes_hw, chunk):
    views = [torch.randn(19, 6, 5), torch.randn(19, 12, 10)]
    total = 0
    for view in views:
        resized = view[None]
        for size_hw in sizes_hw:
            resized = F.interpolate(resized, size_hw, mode="bilinear")
        total = total + resized[0]
    labels = argmax_at_size(views, sizes_hw, chunk)
    assert torch.equal(labels, total.argmax(0).to(torch.uint8))


@pytest.mark.parametrize("chunk", [1, 2, 8])
def test_ties_of_any_two_classes_go_to_the_lower_one(chunk):
    logits = torch.zeros(19, 4, 4)
    logits[[3, 5, 17]] = 1
    assert argmax_at_size([logits], [(3, 3)], chunk).eq(3).all()


def test_ties_go_to_the_lower_class():
    assert argmax_at_size([torch.zeros(19, 2, 2)], []).eq(0).all()


def test_predicts_without_data_samples(model):
    with torch.no_grad():
        pred = model(torch.zeros(2, 3, 64, 48), mode="predict")
    assert [tuple(p.pred_sem_seg.data.shape) for p in pred] == [(1, 64, 48)] * 2


def test_unknown_mode_is_an_error(model):
    with pytest.raises(ValueError, match="'tensor', 'loss' or 'predict'"):
        model(torch.zeros(1, 3, 64, 48), mode="test")


def test_mirrored_views_need_the_pairs_of_classes(model):
    config = dict(
        type="EncoderDecoder",
        data_preprocessor=dict(type="DataPreprocessor"),
        backbone=dict(
            type="pretrain.VisionTransformer",
            arch=dict(embed_dims=8, num_layers=1, num_heads=1, feedforward_channels=8),
            img_size=(32, 32),
            out_type="featmap",
            with_cls_token=False,
        ),
        decode_head=dict(
            type="VitHead", num_classes=3, deconv_out_channels=(4,), deconv_kernel_sizes=(4,),
            conv_out_channels=(4,), conv_kernel_sizes=(1,),
        ),
        test_views=dict(flip=True),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="which classes a mirror exchanges"):
        MODELS.build(config)
    assert MODELS.build({**config, "swap_seg_labels": []}).swap_seg_labels == ()
    assert MODELS.build({**config, "test_views": dict(flip=False)}).swap_seg_labels == ()
    paired = MODELS.build({**config, "swap_seg_labels": [(1, 2)]})
    raw = torch.arange(6.0).view(1, 3, 1, 2)
    assert paired.unflip(raw).flatten().tolist() == [1, 0, 5, 4, 3, 2]
