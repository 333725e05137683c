"""People cut out of images, predicted, and laid over one another, by value."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.errors import ConfigError
from engine.infer import Failure, InputImage, find_images, predict_images
from engine.model.base import build_model
from mmsapiens.shipped import find_config
from mmsapiens.synthetic import render, sample_person
from seg.people import place, predict_maps
from tests.conftest import TINIEST_ARCH

CONFIGS = {
    "parts": "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144",
    "depth": "depth/synthetic/sapiens_tiny_synthetic_depth-192x144",
    "normal": "normal/synthetic/sapiens_tiny_synthetic_normal-192x144",
}
OPTIONS = {
    "input_size_hw": (64, 48),
    "model.eval_dtype": "float32",
    "model.decode_head.deconv_out_channels": (32, 32),
    "model.decode_head.conv_out_channels": (32,),
}
TASKS = pytest.mark.parametrize("task", CONFIGS)


@pytest.fixture(scope="module")
def models():
    """A tiny model of each task, which predicts something else at each pixel; and its config."""
    made = {}

    def get(task):
        if task not in made:
            cfg = load_config(find_config(CONFIGS[task]), OPTIONS)
            cfg.model.backbone.arch = TINIEST_ARCH
            init_default_scope("seg")
            torch.manual_seed(0)
            model = build_model(cfg.model).eval()
            model.decode_head.conv_seg.weight.data *= 100
            if task == "parts":
                model.decode_head.conv_seg.bias.data[0] += 8  # the background occurs, too
            made[task] = model, cfg
        return made[task]

    return get


@pytest.fixture(scope="module")
def scene():
    """A rendered person at the columns 100..160, rows 40..150 of a large, dark image."""
    image = np.full((200, 260, 3), 30, np.uint8)
    image[40:150, 100:160] = render(sample_person(np.random.default_rng(0)), (110, 60)).image
    return image


def as_input(pixels, name="a"):
    return InputImage(Path(f"{name}.png"), name, pixels)


def alone(model, cfg, pixels):
    """The prediction (C, H, W) for an image as it is."""
    ((_, sample, _),) = predict_images(model, cfg, [as_input(np.ascontiguousarray(pixels))], 1, 0)
    return sample.get(model.prediction).data


def predict(model, cfg, pixels, boxes, **options):
    """The prediction (C, H, W) for the people of an image, and where their boxes are."""
    rows = np.float32([[*box, 1][:5] for box in boxes]).reshape(-1, 5)
    (found,) = predict_maps(
        model, cfg, [as_input(pixels)], lambda image, name: rows, num_workers=0, **options
    )
    np.testing.assert_array_equal(found.pixels, pixels)
    return found.sample.get(model.prediction).data, found.sample.mask.data[0].numpy()


@TASKS
def test_a_person_is_predicted_as_their_crop_alone(models, scene, task):
    model, cfg = models(task)
    found, mask = predict(model, cfg, scene, [[100, 40, 160, 150]])
    # 60 x 110 pixels around (130, 95); 1.25 times as much is 75 x 137.5, at 3:4 103.125 x 137.5.
    crop = alone(model, cfg, scene[26:164, 78:182])
    expected = torch.zeros_like(found)
    expected[:, 40:150, 100:160] = crop[:, 14:124, 22:82]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert len(expected[:, 40:150, 100:160].unique()) > 3
    assert mask[40:150, 100:160].all() and mask.sum() == 110 * 60
    # It is not what the whole image shows there.
    whole = alone(model, cfg, scene)[:, 40:150, 100:160]
    assert (whole != expected[:, 40:150, 100:160]).float().mean() > 0.1


@TASKS
def test_what_lies_outside_the_image_is_black(models, scene, task):
    model, cfg = models(task)
    found, mask = predict(model, cfg, scene, [[-20, 150.5, 30, 230]])
    # Within the image 30 x 49.5 around (15, 175.25): 46.40625 x 61.875 pixels.
    padded = np.pad(scene, ((0, 20), (20, 0), (0, 0)))
    crop = alone(model, cfg, padded[144:207, 20 - 9 : 20 + 39])
    expected = torch.zeros_like(found)
    expected[:, 150:200, :30] = crop[:, 6:56, 9:39]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert mask[150:, :30].all() and mask.sum() == 50 * 30


@TASKS
def test_the_higher_score_lies_on_top(models, scene, task):
    model, cfg = models(task)
    first, second = [90, 30, 150, 160], [120, 50, 200, 140]
    (one, _), (other, _) = (predict(model, cfg, scene, [box]) for box in (first, second))
    front = torch.zeros(1, 200, 260, dtype=bool)
    front[:, 50:140, 120:200] = True
    if task == "parts":
        common = front.clone()
        common[:, :, 150:] = False
        assert ((other == 0) & common & (one > 0)).any()  # the background covers nobody
        front &= other > 0
    for boxes in ([[*first, 0.5], [*second, 0.9]], [[*second, 0.9], [*first, 0.5]]):
        found, mask = predict(model, cfg, scene, boxes)
        torch.testing.assert_close(found, torch.where(front, other, one), rtol=0, atol=0)
        assert mask.sum() == 60 * 130 + 80 * 90 - 30 * 90
    of_equals, _ = predict(model, cfg, scene, [second, first])
    torch.testing.assert_close(of_equals, found, rtol=0, atol=0)


def test_the_margin_is_the_callers(models, scene):
    model, cfg = models("depth")
    found, _ = predict(model, cfg, scene, [[100, 40, 160, 150]], margin=1)
    # 82.5 x 110 pixels.
    crop = alone(model, cfg, scene[40:150, 88:172])
    torch.testing.assert_close(found[:, 40:150, 100:160], crop[:, :, 12:72], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("box", "ratio", "margin", "inner", "outer"),
    [
        ([10, 20, 30, 60], 0.75, 1.25, [10, 20, 30, 60], [1, 15, 39, 65]),
        ([10, 20, 50, 30], 0.75, 1, [10, 20, 50, 30], [10, -2, 50, 52]),
        ([0.5, 0.5, 7.5, 7.5], 1, 1, [0, 0, 8, 8], [0, 0, 8, 8]),
        ([-1e30, 10, 1e30, 1e30], 1, 1, [0, 10, 100, 80], [0, -5, 100, 95]),
    ],
)
def test_where_a_crop_lies(box, ratio, margin, inner, outer):
    assert place(np.float32(box), (80, 100), ratio, margin) == (inner, outer)


@pytest.fixture
def people(tmp_path, scene):
    """Images of none, one and three people, and one that is broken; and where people are."""
    boxes = {
        "0.png": [],
        "1.png": [[20, 10, 50, 70, 0.9]],
        "2.png": [[0, 0, 30, 60, 0.4], [20, 5, 60, 80, 0.8], [50, 20, 90, 75, 0.6]],
        "3.png": [],
        "4.png": [[5, 5, 40, 60, 0.9]],
    }
    for i, size_wh in enumerate([(60, 80), (70, 90), (90, 80), (40, 40), (50, 70)]):
        cv2.imwrite(str(tmp_path / f"{i}.png"), cv2.resize(scene, size_wh))
    (tmp_path / "broken.png").write_bytes(b"")
    rows = {name: np.float32(found).reshape(-1, 5) for name, found in boxes.items()}
    return find_images(str(tmp_path)), lambda pixels, name: rows[name]


@TASKS
@pytest.mark.parametrize(("batch_size", "num_workers"), [(2, 0), (3, 2)])
def test_batches_and_workers_make_no_difference(models, people, task, batch_size, num_workers):
    model, cfg = models(task)
    images, find_boxes = people
    one_by_one = list(predict_maps(model, cfg, images, find_boxes, 1, 0))
    found = list(predict_maps(model, cfg, images, find_boxes, batch_size, num_workers))
    assert [item.image for item in found] == images
    assert [isinstance(item, Failure) for item in found] == [False] * 5 + [True]
    for item, other in zip(found[:-1], one_by_one[:-1], strict=True):
        np.testing.assert_array_equal(item.pixels, item.image.read())
        maps, expected = (x.sample.get(model.prediction).data for x in (item, other))
        assert maps.dtype == expected.dtype and maps.shape[1:] == item.pixels.shape[:2]
        # Batches round differently.
        assert (maps - expected.float()).abs().gt(1e-4).float().mean() < 1e-3
        assert torch.equal(item.sample.mask.data, other.sample.mask.data)
    assert (
        not found[0].sample.get(model.prediction).data.any() and not found[0].sample.mask.data.any()
    )


@pytest.mark.parametrize("task", ["depth", "normal"])
def test_nan_in_one_person_is_a_failure_of_their_image(models, people, monkeypatch, task):
    model, cfg = models(task)
    images, find_boxes = people
    test_step, seen = model.test_step, []

    def step(batch):
        samples = test_step(batch)
        for sample in samples:
            if sample.img_path == "2.png":
                seen.append(sample)
                sample.get(model.prediction).data[..., 30, 30] = torch.nan
        return samples

    monkeypatch.setattr(model, "test_step", step)
    found = list(predict_maps(model, cfg, images, find_boxes, 8, 0))
    failures = {item.image.path.name: item.reason for item in found if isinstance(item, Failure)}
    assert failures.pop("broken.png") and seen
    assert failures == {"2.png": "NonFiniteError: NaN or infinity in the prediction of a person"}
    assert len(found) == len(images)


def test_a_bad_box_is_left_out_and_costs_nobody_else(models, scene):
    model, cfg = models("depth")
    rows = np.float32([[300, 10, 310, 20, 1], [100, 40, 160, 150, 1]])
    failure, found = predict_maps(model, cfg, [as_input(scene)], lambda *_: rows, num_workers=0)
    assert "(300, 10, 310, 20)" in failure.reason and "it is left out" in failure.reason
    expected, _ = predict(model, cfg, scene, [rows[1]])
    torch.testing.assert_close(found.sample.pred_depth_map.data, expected, rtol=0, atol=0)


@pytest.mark.parametrize("margin", [0.99, float("nan"), float("inf")])
def test_a_margin_does_not_cut_people_off(models, scene, margin):
    with pytest.raises(ConfigError, match="a factor of at least 1"):
        predict(*models("depth"), scene, [], margin=margin)


def test_probabilities_are_of_whole_images(models, scene):
    model, cfg = models("parts")
    cfg = cfg.copy()
    cfg.model.keep_probabilities = True
    with pytest.raises(ConfigError, match=r"probabilities .* are of whole images"):
        predict(model, cfg, scene, [])
