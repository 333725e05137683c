import math

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from engine.data.sample import DataSample
from engine.errors import ConfigError, DataError, NonFiniteError
from seg.surface.metric import DepthMetric, NormalMetric, align_scale_shift, angles


def sample_of(name, pred, target, mask=None):
    """A data sample of maps (C, H, W), as the evaluator hands it over."""
    mask = torch.ones(1, *target.shape[1:]) if mask is None else mask
    sample = DataSample(metainfo={"img_path": "a.jpg"})
    for key, value in ((f"pred_{name}", pred), (f"gt_{name}", target), ("gt_mask", mask)):
        sample.set_field(PixelData(data=value), key)
    return sample.to_dict()


def row(*values):
    return torch.tensor(values, dtype=torch.float32).view(1, 1, -1)


def evaluate(metric, *samples):
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_worked_example_of_depth():
    """Four pixels; the fifth lies outside the mask."""
    target = row(1, 2, 4, 5, math.nan)
    pred = row(1.1, 2, 8, 4, math.nan)
    found = evaluate(
        DepthMetric(align="none"), sample_of("depth_map", pred, target, row(1, 1, 1, 1, 0))
    )
    assert next(iter(found)) == "RMSE"
    assert found == {
        "RMSE": pytest.approx(math.sqrt((0.01 + 0 + 16 + 1) / 4), abs=1e-4),
        "AbsRel": pytest.approx((0.1 + 0 + 1 + 0.2) / 4, abs=1e-4),
        "log10": pytest.approx((math.log10(1.1) + math.log10(2) + math.log10(1.25)) / 4, abs=1e-4),
        "d1": 50.0,  # ratios 1.1, 1, 2 and 1.25, which is not below 1.25
        "d2": 75.0,
        "d3": 75.0,
        "RMSE_of_mean": pytest.approx(math.sqrt((4 + 1 + 1 + 4) / 4), abs=1e-4),
    }


def test_alignment_undoes_scale_and_shift_of_each_image():
    rng = torch.Generator().manual_seed(0)
    target = 1 + torch.rand(1, 6, 7, generator=rng)
    samples = [
        sample_of("depth_map", 3 * target - 5, target), sample_of("depth_map", target / 9, target)
    ]  # fmt: skip
    found = evaluate(DepthMetric(), *samples)
    assert found["RMSE"] == 0 and found["d1"] == 100
    assert evaluate(DepthMetric(align="none"), *samples)["RMSE"] > 0.5


def test_alignment_is_the_least_squares_solution():
    rng = np.random.default_rng(0)
    pred, target = rng.normal(size=(2, 50))
    design = np.stack([pred, np.ones(50)], axis=1)
    expected = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    aligned = align_scale_shift(torch.from_numpy(pred), torch.from_numpy(target))
    np.testing.assert_allclose(aligned, expected, atol=1e-12)


def test_a_constant_prediction_is_as_good_as_the_mean():
    target = row(1, 2, 6)
    found = evaluate(DepthMetric(), sample_of("depth_map", row(7, 7, 7), target))
    assert found["RMSE"] == found["RMSE_of_mean"] > 0


def test_images_count_alike_whatever_their_size():
    small = sample_of("depth_map", row(2), row(1))
    large = sample_of("depth_map", torch.full((1, 30, 30), 4.0), torch.full((1, 30, 30), 1.0))
    assert evaluate(DepthMetric(align="none"), small, large)["RMSE"] == 2.0


def test_ratios_are_of_positive_depths():
    sample = sample_of("depth_map", row(2, 2), row(2, -2))
    found = evaluate(DepthMetric(align="none"), sample)
    assert (found["AbsRel"], found["d1"]) == (0, 100)
    none = sample_of("depth_map", row(2, 2), row(-2, -2))
    assert evaluate(DepthMetric(align="none"), sample, none)["d1"] == 100


@pytest.mark.parametrize("min_depth", [1e-3, 0.1, 2.0])
def test_predictions_in_ratios_are_raised_to_the_least_depth(min_depth):
    """RMSE is of what was predicted."""
    target = row(1, 4)
    found = evaluate(
        DepthMetric(align="none", min_depth=min_depth), sample_of("depth_map", row(-3, 4), target)
    )
    raised = max(min_depth, 0)
    assert found["AbsRel"] == pytest.approx(abs(raised - 1) / 2, abs=1e-4)
    assert found["log10"] == pytest.approx(abs(math.log10(raised)) / 2, abs=1e-4)
    assert found["RMSE"] == pytest.approx(math.sqrt(16 / 2), abs=1e-4)


@pytest.mark.parametrize(("degrees", "below"), [(180, []), (30.01, []), (22.49, [22.5, 30])])
def test_angles_at_the_ends_of_a_range(degrees, below):
    """180 belongs to the last bin."""
    angle = math.radians(degrees)
    pred = torch.tensor([math.sin(angle), 0, math.cos(angle)], dtype=torch.float64)
    target = torch.tensor([0, 0, 1.0], dtype=torch.float64)
    if degrees == 180:
        pred = -target
    maps = [v.view(3, 1, 1).expand(3, 2, 2) for v in (pred, target)]
    found = evaluate(NormalMetric(), sample_of("normal_map", *maps))
    assert found["mean_angle"] == pytest.approx(degrees, abs=1e-3)
    assert found["RMSE_angle"] == pytest.approx(degrees, abs=1e-3)
    assert found["median_angle"] == pytest.approx(degrees, abs=0.026)
    within = {float(k.removeprefix("within_")): v for k, v in found.items() if "within" in k}
    assert within == {t: 100.0 if t in below else 0.0 for t in NormalMetric.thresholds}


def test_worked_example_of_normals():
    """Angles 0, 10, 40 and 90 degrees, at lengths other than 1."""
    turned = [(2 * math.sin(a), 0, 2 * math.cos(a)) for a in np.radians([0, 10, 40, 90])]
    pred = torch.tensor(turned).T[:, None]
    target = torch.tensor([(0.0, 0.0, 1.0)] * 4).T[:, None]
    found = evaluate(NormalMetric(), sample_of("normal_map", pred, target))
    assert next(iter(found)) == "mean_angle"
    assert found == {
        "mean_angle": pytest.approx(35, abs=1e-3),
        "median_angle": pytest.approx(10, abs=0.05),
        "RMSE_angle": pytest.approx(math.sqrt((100 + 1600 + 8100) / 4), abs=1e-3),
        "within_5": 25.0,
        "within_7.5": 25.0,
        "within_11.25": 50.0,
        "within_22.5": 50.0,
        "within_30": 50.0,
    }


def test_the_median_is_right_to_a_bin():
    rng = torch.Generator().manual_seed(0)
    pred, target = torch.randn(2, 3, 40, 50, generator=rng)
    found = evaluate(NormalMetric(), sample_of("normal_map", pred, target))
    exact = angles(pred.flatten(1).double(), target.flatten(1).double())
    assert found["median_angle"] == pytest.approx(np.median(exact), abs=0.05)
    assert found["mean_angle"] == pytest.approx(exact.mean().item(), abs=1e-3)


def test_pixels_count_alike_over_all_images():
    up, side = torch.tensor([0.0, 0, 1]).view(3, 1, 1), torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    found = evaluate(
        NormalMetric(),
        sample_of("normal_map", up, side),
        sample_of("normal_map", up.expand(3, 1, 8), up.expand(3, 1, 8)),
    )
    assert found["mean_angle"] == 10.0


def test_angles_are_exact_near_0_and_180_and_90_to_nothing():
    tiny = torch.tensor([1e-5, 0, 1.0]).view(3, 1)
    up = torch.tensor([0, 0, 1.0]).view(3, 1)
    assert angles(tiny, up).item() == pytest.approx(math.degrees(1e-5), rel=1e-4)
    assert angles(-up, up).item() == 180 and angles(0 * up, up).item() == 90


@pytest.mark.parametrize(
    "metric, name, channels", [(DepthMetric(), "depth_map", 1), (NormalMetric(), "normal_map", 3)]
)
def test_what_is_not_finite_is_an_error_and_an_empty_mask_counts_nothing(metric, name, channels):
    good, bad = torch.ones(channels, 2, 2), torch.full((channels, 2, 2), math.nan)
    one_bad = good.clone()
    one_bad[-1, 1, 1] = math.inf
    with pytest.raises(DataError, match="ground truth"):
        metric.process({}, [sample_of(name, good, one_bad)])
    with pytest.raises(NonFiniteError, match="prediction"):
        metric.process({}, [sample_of(name, one_bad, good)])
    with pytest.raises(DataError, match=r"a\.jpg: .* ground truth"):
        metric.process({}, [sample_of(name, good, bad)])
    with pytest.raises(NonFiniteError, match=r"a\.jpg: .* prediction"):
        metric.process({}, [sample_of(name, bad, good)])
    empty = sample_of(name, bad, bad, torch.zeros(1, 2, 2))
    before = metric.sums
    metric.process({}, [empty])
    assert metric.sums is before
    assert all(math.isfinite(value) for value in metric.evaluate(0).values())


def test_a_second_evaluation_starts_afresh():
    metric = DepthMetric(align="none", prefix="val")
    assert evaluate(metric, sample_of("depth_map", row(2), row(1)))["val/RMSE"] == 1
    assert evaluate(metric, sample_of("depth_map", row(1), row(1)))["val/RMSE"] == 0


def test_unknown_alignment():
    with pytest.raises(ConfigError, match="'scale_shift' or 'none'"):
        DepthMetric(align="median")


@pytest.mark.parametrize("metric", [DepthMetric(prefix="d"), NormalMetric()])
def test_figures_and_needs_are_known_before_an_evaluation(metric):
    complete = dict.fromkeys(("gt_mask", "gt_depth_map", "gt_normal_map"))
    assert metric.prepare(None, complete) == list(metric.evaluate(0))
    with pytest.raises(ConfigError, match=f"needs gt_{metric.name}, which"):
        metric.prepare(None, {"gt_mask": None})


def test_a_depth_of_zero_has_no_ratio():
    found = evaluate(DepthMetric(align="none"), sample_of("depth_map", row(1, 3), row(0, 2)))
    assert found["RMSE"] == 1 and found["AbsRel"] == 0.5 and found["d1"] == 0
    (only_zero,) = [sample_of("depth_map", row(1, 1), row(0, 0))]
    found = evaluate(DepthMetric(align="none"), only_zero)
    assert found["RMSE"] == 1 and found["AbsRel"] == found["d1"] == 0
