import math

import pytest
import torch

from engine.errors import ConfigError, DataError
from seg.surface.models import CosineSimilarityLoss, L1Loss, SiLogLoss

BOTH = pytest.mark.parametrize("loss_type", [CosineSimilarityLoss, L1Loss])
SILOGS = pytest.mark.parametrize(
    "silog", [SiLogLoss(), SiLogLoss(floor=0.01)], ids=["release", "floor"]
)


def row(*values):
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def vectors(*xyz):
    """Normals (1, 3, 1, N)."""
    return torch.tensor(xyz, dtype=torch.float32).T[None, :, None]


def test_silog_equals_the_recorded_one(golden):
    recorded = golden("depth")
    loss = SiLogLoss()(recorded["in/pred"], recorded["in/target"])
    torch.testing.assert_close(loss, recorded["out/silog"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("loss_type, key", [(CosineSimilarityLoss, "cosine"), (L1Loss, "l1")])
def test_normal_losses_equal_the_recorded_ones(golden, loss_type, key):
    recorded = golden("normal")
    loss = loss_type()(recorded["in/pred"], recorded["in/target"])
    torch.testing.assert_close(loss, recorded[f"out/{key}"], atol=1e-4, rtol=0)


@SILOGS
def test_silog_worked_example(silog):
    """g is ln 2 and 0: the root of ln^2 2 / 2 - 0.5 (ln 2 / 2)^2; the background does not count."""
    loss = silog(row(0.25, 0.5, 0.3), row(0.5, 0.5, -1))
    expected = math.sqrt(math.log(2) ** 2 / 2 - 0.5 * (math.log(2) / 2) ** 2)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("options", [{}, {"floor": 0.01}], ids=["release", "floor"])
def test_the_weight_of_silog_is_a_factor_of_loss_and_gradient(options):
    pred = row(0.2, 0.5, 0.7).requires_grad_()
    losses = [SiLogLoss(loss_weight=w, **options)(pred, row(0.5, 0.6, 0.1)) for w in (1, 0.3)]
    plain, weighted = (torch.autograd.grad(loss, pred)[0] for loss in losses)
    torch.testing.assert_close(losses[1], 0.3 * losses[0])
    torch.testing.assert_close(weighted, 0.3 * plain)
    assert losses[0] > 0 and plain.ne(0).any()


@BOTH
def test_the_weight_of_losses_of_normals_is_a_factor(loss_type):
    pred, target = vectors((0.1, 0.2, 0.9), (0, 1, 0)), vectors((0, 0, 1), (1, 0, 0))
    weighted = loss_type(loss_weight=0.3)(pred, target)
    torch.testing.assert_close(weighted, 0.3 * loss_type()(pred, target))


def test_without_a_floor_nothing_at_or_below_eps_learns_or_counts():
    pred = row(-0.5, 0.5, 0.7).requires_grad_()
    SiLogLoss()(pred, row(0.5, 0.6, 0)).backward()
    assert pred.grad[..., 0] == 0 and pred.grad[..., 1] != 0 and pred.grad[..., 2] == 0


def test_with_a_floor_every_pixel_learns_in_the_right_direction():
    """Each is an image of its own: within one, the loss is about differences."""
    pred = row(-0.5, 0, 0.005, 0.5).view(4, 1, 1, 1).requires_grad_()
    target = row(0.5, 0.6, 0.4, 0).view(4, 1, 1, 1)
    SiLogLoss(floor=0.01)(pred, target).backward()
    assert (pred.grad[:3] < 0).all() and pred.grad[3] > 0


def test_the_floor_is_smooth_and_leaves_what_is_above():
    silog = SiLogLoss(floor=0.1)
    x = torch.tensor([-1.0, 0.1 - 1e-4, 0.1, 0.1 + 1e-4, 0.7], dtype=torch.float64)
    x.requires_grad_()
    y = silog._log(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope[:3], torch.full((3,), 10.0, dtype=torch.float64))
    torch.testing.assert_close(slope[3:], 1 / x[3:])
    torch.testing.assert_close(y[2:], x[2:].log())


@SILOGS
@pytest.mark.parametrize("pred", [0.3, -0.3])
def test_a_perfect_or_empty_image_has_no_loss_and_a_zero_gradient(silog, pred):
    pred = torch.full((2, 1, 3, 3), pred).requires_grad_()
    target = torch.full((2, 1, 3, 3), -1.0)
    target[1] = pred[1].detach()
    loss = silog(pred, target)
    loss.backward()
    assert loss == 0 and pred.grad.eq(0).all()


@BOTH
def test_no_valid_pixel_gives_zero_loss_and_gradient(loss_type):
    pred = torch.rand(2, 3, 4, 4, requires_grad=True)
    loss = loss_type()(pred, torch.full((2, 3, 4, 4), -1000.0))
    loss.backward()
    assert loss == 0 and pred.grad.eq(0).all()


def test_worked_examples_of_normals():
    pred = vectors((0, 0, 2), (1, 0, 1), (5, 5, 5))
    target = vectors((0, 0, 1), (0, 0, 1), (-1000, -1000, -1000))
    # cosines 1 and 1/sqrt(2); absolute differences 1 and 1, summed over channels
    cosine = CosineSimilarityLoss(loss_weight=2.0)(pred, target)
    assert cosine.item() == pytest.approx(1 - math.sqrt(0.5), abs=1e-6)
    assert L1Loss()(pred, target).item() == pytest.approx(1.0)


def test_weights_say_how_much_a_pixel_counts():
    pred, target = row(0.25, 0.5, 0.9), row(0.5, 0.5, 0.1)
    alone = SiLogLoss()(pred[..., :2], target[..., :2])
    torch.testing.assert_close(SiLogLoss()(pred, target, row(1, 1, 0)), alone)
    pred, target = vectors((0, 0, 2), (1, 0, 1)), vectors((0, 0, 1), (0, 0, 1))
    assert L1Loss()(pred, target, row(1, 3)).item() == pytest.approx((1 + 3) / 2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_target_that_is_not_finite_is_an_error(value):
    target = torch.rand(3, 1, 2, 2)
    target[1, 0, 0, 0] = value
    with pytest.raises(DataError, match=r"loss_silog.*images \[1\]"):
        SiLogLoss()(torch.rand(3, 1, 2, 2), target)
    with pytest.raises(DataError, match=r"loss_l1.*images \[1\]"):
        L1Loss()(torch.rand(3, 3, 2, 2), target.expand(3, 3, 2, 2))
    with pytest.raises(DataError, match=r"loss_cosine_sim.*images \[1\]"):
        CosineSimilarityLoss()(torch.rand(3, 3, 2, 2), target.expand(3, 3, 2, 2))


@pytest.mark.parametrize("background", [False, True])
def test_a_prediction_that_is_not_finite_shows_in_the_loss(background):
    """The training loop makes an error of it, and saves the batch."""
    pred = torch.rand(1, 1, 2, 2)
    pred[0, 0, 0, 0] = math.nan
    target = torch.rand(1, 1, 2, 2) + 0.1
    if background:
        target[0, 0, 0, 0] = -1
    assert SiLogLoss()(pred, target).isnan() and SiLogLoss(floor=0.01)(pred, target).isnan()
    target = target.expand(1, 3, 2, 2).clone()
    if background:
        target[..., 0, 0] = -1000
    for loss in (CosineSimilarityLoss(), L1Loss()):
        assert loss(pred.expand(1, 3, 2, 2), target).isnan()


def test_a_floor_is_positive():
    with pytest.raises(ConfigError, match="floor is positive"):
        SiLogLoss(floor=0)


def test_the_eps_of_silog_is_where_targets_begin_to_count_and_predictions_to_learn():
    silog = SiLogLoss(eps=0.25)
    pred = row(0.2, 0.25, 0.5, 0.7, 0.9).requires_grad_()
    loss = silog(pred, row(0.5, 0.6, 0.4, 0.25, 0.2))
    expected = SiLogLoss()(row(0.25, 0.25, 0.5), row(0.5, 0.6, 0.4))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert pred.grad[..., 0] == 0 and pred.grad[..., 3:].eq(0).all() and pred.grad[..., 2] != 0


def test_with_a_floor_the_nearest_pixel_counts_and_the_background_does_not():
    def of(target):
        pred = row(0.3, 0.5).requires_grad_()
        SiLogLoss(floor=0.01)(pred, row(target, 0.9)).backward()
        return pred.grad[..., 0].item()

    assert of(0.0) != 0 and of(-1e-6) == 0


@BOTH
@pytest.mark.parametrize(("eps", "x", "counts"), [(-100, -100, 0), (-100, -99.9, 1), (0.5, 0.5, 0)])
def test_normals_at_the_eps_do_not_count(loss_type, eps, x, counts):
    pred = vectors((0.1, 0.2, 0.9)).requires_grad_()
    loss_type(eps=eps)(pred, vectors((x, 0.1, 0.7))).backward()
    assert pred.grad.ne(0).any() == bool(counts)


@pytest.mark.parametrize("loss_type", [SiLogLoss, CosineSimilarityLoss, L1Loss])
def test_the_name_of_a_loss_is_the_configs(loss_type):
    assert loss_type(loss_name="loss_mine").loss_name == "loss_mine"
    usual = {SiLogLoss: "silog", CosineSimilarityLoss: "cosine_sim", L1Loss: "l1"}[loss_type]
    assert loss_type().loss_name == f"loss_{usual}"
