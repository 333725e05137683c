import numpy as np
import pytest
import torch

from engine.errors import ConfigError
from mmsapiens.benchmarks.pose import decode_one_by_one
from pose.codec import UDPHeatmap


@pytest.fixture
def recorded(golden):
    return golden("udp")


@pytest.fixture
def small(recorded):
    """192x256 input, 48x64 heatmaps, sigma 2."""
    return UDPHeatmap(**recorded.meta["small"])


def test_heatmaps_and_weights_equal_the_recorded_ones(recorded):
    codec = UDPHeatmap(**recorded.meta["real"])
    heatmaps, weights = codec.encode(recorded["in/keypoints"], recorded["in/visible"])
    assert torch.equal(weights, recorded["out/weights"])
    sums, highest = heatmaps[0].sum(dim=(1, 2)), heatmaps[0].amax(dim=(1, 2))
    torch.testing.assert_close(sums, recorded["out/heatmap_sum"], atol=1e-4, rtol=0)
    torch.testing.assert_close(highest, recorded["out/heatmap_max"], atol=1e-6, rtol=0)
    some = heatmaps[0, recorded["in/heatmap_index"]]
    torch.testing.assert_close(some, recorded["out/heatmaps"], atol=1e-6, rtol=0)


def test_small_heatmaps_equal_the_recorded_ones(recorded, small):
    heatmaps, _ = small.encode(recorded["in/small_keypoints"], torch.ones(1, 17))
    torch.testing.assert_close(heatmaps[0], recorded["out/small_heatmaps"], atol=1e-6, rtol=0)


def test_decoded_points_equal_the_recorded_ones(recorded, small):
    keypoints, scores = small.decode(recorded["in/noisy_heatmaps"][None])
    expected = recorded["out/decoded_keypoints"]
    torch.testing.assert_close(keypoints.double(), expected, atol=0.02, rtol=0)
    torch.testing.assert_close(scores, recorded["out/decoded_scores"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("noise", "peak", "tolerance"),
    # Blurred noise alone falls below the clip: the whole map must be blurred for its maximum.
    [(0, 1, 1e-4), (0.02, 1, 1e-3), (0.002, 0.02, 1e-2), (0.2, 0.1, 5e-2)],
    ids=["clean", "noisy", "faint", "drowned"],
)
def test_equals_blurring_whole_maps_one_by_one(small, noise, peak, tolerance):
    generator = torch.Generator().manual_seed(0)
    keypoints = torch.rand(2, 60, 2, generator=generator) * torch.tensor([192.0, 256.0])
    heatmaps, _ = small.encode(keypoints, torch.ones(2, 60))
    heatmaps = peak * heatmaps + noise * torch.randn(heatmaps.shape, generator=generator)
    points, scores = small.locate(heatmaps)
    expected = decode_one_by_one(heatmaps.numpy())
    # A nearly singular Hessian throws the peak far away, and rounding decides where to.
    steady = np.abs(expected - points.round().numpy()).max(axis=-1) < 3
    assert steady.mean() > 0.9
    np.testing.assert_allclose(points.numpy()[steady], expected[steady], rtol=0, atol=tolerance)
    assert torch.equal(scores, heatmaps.amax(dim=(2, 3)))


def test_decoding_undoes_encoding(small):
    grid = torch.cartesian_prod(torch.linspace(20, 170, 9), torch.linspace(20, 230, 9))[None]
    points, _ = small.locate(small.encode(grid, torch.ones(1, 81))[0])
    back = points * points.new_tensor(small.stride_xy)
    torch.testing.assert_close(back, grid, atol=0.05, rtol=0)


def test_decoded_pixels_are_stretched_as_the_release_counts_them(small):
    heatmaps = small.encode(torch.tensor([[[100.0, 200.0]]]), torch.ones(1, 1))[0]
    (points, _), (keypoints, _) = small.locate(heatmaps), small.decode(heatmaps)
    torch.testing.assert_close(keypoints, points * torch.tensor([192 / 47, 256 / 63]))


@pytest.mark.parametrize("axis", [0, 1], ids="xy")
def test_a_blob_counts_up_to_the_one_that_reaches_the_last_pixel_only(axis):
    """Its center is 3 sigma beyond that pixel."""
    codec = UDPHeatmap(input_size=(9, 12), heatmap_size=(9, 12), sigma=1)
    keypoints = torch.full((1, 2, 2), 4.0)
    keypoints[0, :, axis] = torch.tensor([3.0, 4.0]) + codec.heatmap_size_wh[axis] - 1
    heatmaps, weights = codec.encode(keypoints, torch.ones(1, 2))
    assert weights.tolist() == [[1, 0]]
    last = heatmaps[0, 0].movedim(1 - axis, 0)[-1]
    assert last[4] == heatmaps.max() and last[4] == pytest.approx(np.exp(-(3**2) / 2))
    assert not heatmaps[0, 1].any()


@pytest.mark.parametrize("corner", [(0, 0), (47, 0), (0, 63), (47, 63)])
def test_a_peak_in_the_corner(small, corner):
    keypoint = torch.tensor(corner) * torch.tensor(small.stride_xy)
    heatmaps = small.encode(keypoint.view(1, 1, 2), torch.ones(1, 1))[0]
    points, _ = small.locate(heatmaps)
    np.testing.assert_allclose(points.numpy(), decode_one_by_one(heatmaps.numpy()), atol=1e-4)


def test_what_is_not_visible_or_far_outside_is_not_drawn(small):
    x = torch.tensor([96, 96, -20, -32, -60, float("nan")])
    visible = torch.tensor([[1.0, 0, 1, 1, 1, 1]])
    heatmaps, weights = small.encode(torch.stack([x, x.new_full((6,), 128)], dim=1)[None], visible)
    # The box of the fourth ends just before the map: the release counts it, and so asks for none.
    assert weights.tolist() == [[1, 0, 1, 1, 0, 0]]
    assert (heatmaps[0].amax(dim=(1, 2)) > 0).tolist() == [True, False, True, False, False, False]
    assert heatmaps.isfinite().all()


def test_the_blob_is_cut_off_at_three_sigma(small):
    heatmaps, _ = small.encode(torch.tensor([[[96.0, 128.0]]]), torch.ones(1, 1))
    drawn = heatmaps[0, 0] > 0
    assert drawn.any(dim=0).sum() == drawn.any(dim=1).sum() == 13
    assert drawn.sum() == 13**2


def test_a_map_without_a_positive_value_keeps_its_highest_pixel(small):
    heatmaps = torch.full((1, 2, 64, 48), -1.0)
    heatmaps[0, 1, 5, 7] = -0.5
    points, scores = small.locate(heatmaps)
    assert points.tolist() == [[[0, 0], [7, 5]]]
    assert scores.tolist() == [[-1, -0.5]]


def test_plateaus_stay_where_they_are(small):
    points, _ = small.locate(torch.full((1, 1, 64, 48), 60.0))
    assert points.isfinite().all()


def test_the_refinement_can_be_limited(recorded):
    heatmaps = recorded["in/noisy_heatmaps"][None]
    free = UDPHeatmap(**recorded.meta["small"])
    limited = UDPHeatmap(**recorded.meta["small"], max_offset=0.25)
    pixels = UDPHeatmap(**recorded.meta["small"], max_offset=0).locate(heatmaps)[0]
    assert torch.equal(pixels, pixels.round())
    offset = free.locate(heatmaps)[0] - pixels
    torch.testing.assert_close(limited.locate(heatmaps)[0], pixels + offset.clamp(-0.25, 0.25))


def test_decodes_in_full_precision_whatever_the_models(recorded, small):
    heatmaps = recorded["in/noisy_heatmaps"][None].bfloat16()
    expected = small.locate(heatmaps.float())[0]
    with torch.autocast("cpu", torch.bfloat16):
        points = small.locate(heatmaps)[0]
    assert points.dtype == torch.float32
    assert torch.equal(points, expected)


@pytest.mark.parametrize(
    "change", [dict(heatmap_size=(48,)), dict(blur_kernel_size=10), dict(sigma=0)]
)
def test_impossible_settings_are_errors(change):
    with pytest.raises(ConfigError, match="UDPHeatmap"):
        UDPHeatmap(**{"input_size": (192, 256), "heatmap_size": (48, 64), **change})


def test_heatmaps_of_another_size_are_an_error(small):
    with pytest.raises(ConfigError, match=r"\(64, 48\), but heatmap_size is \(48, 64\)"):
        small.decode(torch.zeros(1, 1, 48, 64))


def test_the_smallest_settings():
    codec = UDPHeatmap(input_size=(4, 4), heatmap_size=(2, 2), blur_kernel_size=1, sigma=0.1)
    assert codec.stride_xy == (3, 3)
    heatmaps, _ = codec.encode(torch.tensor([[[3.0, 0.0]]]), torch.ones(1, 1))
    assert heatmaps[0, 0].tolist() == [[0, 1], [0, 0]]
    for change in (dict(heatmap_size=(1, 2)), dict(heatmap_size=(2, 1)), dict(blur_kernel_size=-1)):
        with pytest.raises(ConfigError, match="UDPHeatmap"):
            UDPHeatmap(**{"input_size": (4, 4), "heatmap_size": (2, 2), **change})
    with pytest.raises(ConfigError, match="UDPHeatmap"):
        UDPHeatmap(input_size=(4,), heatmap_size=(2, 2))


@pytest.mark.parametrize(("visible", "is_drawn"), [(0.5, True), (0.49, False)])
def test_a_keypoint_is_drawn_from_half_visible_on(small, visible, is_drawn):
    heatmaps, weights = small.encode(torch.tensor([[[96.0, 128.0]]]), torch.full((1, 1), visible))
    assert heatmaps.any() == is_drawn and weights.item() == visible * is_drawn


@pytest.mark.parametrize("axis", [0, 1], ids="xy")
def test_a_blob_counts_from_just_before_the_first_pixel(axis):
    """As the release counts: a box that ends one pixel before the map counts, two do not."""
    codec = UDPHeatmap(input_size=(9, 12), heatmap_size=(9, 12), sigma=1)
    keypoints = torch.full((1, 3, 2), 4.0)
    keypoints[0, :, axis] = torch.tensor([-3.0, -4.0, -5.0]) - 0.5
    _, weights = codec.encode(keypoints, torch.ones(1, 3))
    assert weights.tolist() == [[1, 1, 0]]
