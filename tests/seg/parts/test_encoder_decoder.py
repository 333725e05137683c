import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData

from engine.data.sample import DataSample
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


def test_ties_go_to_the_lower_class():
    assert argmax_at_size([torch.zeros(19, 2, 2)], []).eq(0).all()


def test_predicts_without_data_samples(model):
    with torch.no_grad():
        pred = model(torch.zeros(2, 3, 64, 48), mode="predict")
    assert [tuple(p.pred_sem_seg.data.shape) for p in pred] == [(1, 64, 48)] * 2


def test_unknown_mode_is_an_error(model):
    with pytest.raises(ValueError, match="'tensor', 'loss' or 'predict'"):
        model(torch.zeros(1, 3, 64, 48), mode="test")
