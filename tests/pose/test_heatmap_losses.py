import pytest
import torch

from engine.errors import ConfigError
from pose.models import KeypointMSELoss, KeypointOHKMMSELoss


@pytest.fixture
def recorded(golden):
    return golden("pose")


@pytest.fixture
def batch(recorded):
    return recorded["in/pred"], recorded["in/target"], recorded["in/weight"]


def test_losses_equal_the_recorded_ones(recorded, batch):
    ohkm = KeypointOHKMMSELoss(use_target_weight=True, topk=recorded.meta["topk"])
    torch.testing.assert_close(KeypointMSELoss()(*batch), recorded["out/mse"], atol=1e-6, rtol=0)
    torch.testing.assert_close(ohkm(*batch), recorded["out/ohkm"], atol=1e-6, rtol=0)


def test_keypoints_without_weight_stay_in_the_mean():
    pred, target = torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    weight = torch.tensor([[1.0, 0, 0, 0]])
    assert KeypointMSELoss()(pred, target, weight) == 0.25
    assert KeypointMSELoss(loss_weight=2)(pred, target) == 2
    assert KeypointMSELoss(use_target_weight=False)(pred, target, weight) == 1


def test_only_the_hardest_keypoints_learn():
    pred = torch.tensor([1.0, 3.0, 2.0, 9.0]).view(1, 4, 1, 1).requires_grad_()
    weight = torch.tensor([[1.0, 1, 1, 0]])
    loss = KeypointOHKMMSELoss(topk=2)(pred, torch.zeros(1, 4, 1, 1), weight)
    loss.backward()
    assert loss == (9 + 4) / 2
    assert (pred.grad.flatten() != 0).tolist() == [False, True, True, False]


def test_the_weight_of_the_hardest_is_a_factor(batch):
    plain = KeypointOHKMMSELoss()(*batch)
    torch.testing.assert_close(KeypointOHKMMSELoss(loss_weight=0.3)(*batch), 0.3 * plain)
    assert plain > 0


@pytest.mark.parametrize("loss", [KeypointMSELoss(), KeypointOHKMMSELoss(topk=2)])
def test_a_person_whose_every_keypoint_is_invisible_teaches_nothing(loss):
    pred = torch.rand(2, 4, 3, 3).requires_grad_()
    weight = torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 0]])
    loss(pred, torch.zeros(2, 4, 3, 3), weight).backward()
    assert pred.grad[0].abs().sum() > 0 and pred.grad[1].eq(0).all()


def test_more_hard_keypoints_than_there_are(batch):
    with pytest.raises(ConfigError, match="topk=18, but there are 17"):
        KeypointOHKMMSELoss(topk=18)(*batch)


@pytest.mark.parametrize("topk", [0, -1, 5])
def test_the_number_of_hard_keypoints_is_one_to_all(topk):
    pred = torch.tensor([1.0, 3.0, 2.0, 9.0]).view(1, 4, 1, 1)
    target = torch.zeros_like(pred)
    assert KeypointOHKMMSELoss(topk=4)(pred, target) == (1 + 9 + 4 + 81) / 4
    assert KeypointOHKMMSELoss(topk=1)(pred, target) == 81
    with pytest.raises(ConfigError, match=f"topk={topk}, but there are 4"):
        KeypointOHKMMSELoss(topk=topk)(pred, target)


def test_the_hardest_keypoints_may_be_told_without_weights():
    pred, target = torch.tensor([1.0, 9.0]).view(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    weight = torch.tensor([[1.0, 0]])
    assert KeypointOHKMMSELoss(use_target_weight=False, topk=1)(pred, target, weight) == 81
    assert KeypointOHKMMSELoss(topk=1)(pred, target, weight) == 1
