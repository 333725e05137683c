"""Sharded trainings are as others are, in as many processes as there are, with less in each."""

import pytest
import torch

from engine.config import load_config
from engine.errors import ConfigError
from tests.conftest import ROOT

FACE = ROOT / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"
# Followed by an instance norm, it has no effect, and Adam makes steps of its gradients' rounding.
WITHOUT_EFFECT = "conv_layers.0.bias"


def difference(a, b):
    """The largest of any weight."""
    assert a.error is b.error is None, (a.error, b.error)
    assert a.weights.keys() == b.weights.keys()
    names = [name for name in a.weights if WITHOUT_EFFECT not in name]
    return max(float((a.weights[name] - b.weights[name]).abs().max()) for name in names)


@pytest.mark.parametrize("name", ["fsdp", "fused", "compiled", "sharded"])
def test_two_ranks_train_as_with_whole_copies(two, name):
    """With layer decay, clipping, accumulation and an average; evaluated unevenly."""
    for trained in two[name]:
        assert difference(trained, two["ddp"][0]) < 1e-5
    norms = (two[key][0].logged["train/grad_norm"][-1] for key in (name, "ddp"))
    assert next(norms) == pytest.approx(next(norms), rel=1e-4)


def test_four_ranks_go_on_in_two_groups_as_two_in_one(four, two):
    for trained in four["four"]:
        assert difference(trained, two["fsdp"][0]) < 1e-5


def test_ranks_train_as_one_process(one, two):
    assert difference(one["alone"], two["fsdp"][0]) < 1e-5
    assert difference(one["resumed alone"], two["fsdp"][0]) < 1e-5


def test_a_resumed_training_is_exact(two):
    for resumed, trained in zip(two["resumed"], two["fsdp"], strict=True):
        for name, tensor in trained.weights.items():
            assert torch.equal(resumed.weights[name], tensor), name


def test_each_process_holds_its_share(one, two, four):
    whole = one["alone"].elements
    assert two["ddp"][0].elements == whole
    for trained in two["fsdp"]:
        assert trained.elements == pytest.approx(whole / 2, rel=0.02)
    for trained in four["four"]:
        assert trained.elements == pytest.approx(whole / 2, rel=0.02)


def test_evaluations_of_ranks_see_the_same_weights(one, two):
    name = "val/mIoU"
    assert two["fsdp"][0].logged[name] == pytest.approx(one["alone"].logged[name], abs=0.5)
    assert two["fsdp"][0].logged[name] == two["fsdp"][1].logged[name]


@pytest.mark.parametrize("name", ["diverged", "fused diverged"])
def test_a_diverged_training_says_so_on_all_ranks(two, folder, name):
    """Of a fused optimizer, the default on GPUs, a step later, and of the same iteration."""
    said = [trained.error.partition(":")[2][:13] for trained in two["diverged"]]
    for rank, trained in enumerate(two[name]):
        assert trained.error.partition(":")[2][:13] == said[rank]
        assert "NonFiniteError: Iteration" in trained.error
        file = f"nan_batch{f'_rank{rank}' if rank else ''}.pth"
        assert f"The batch is saved: run it again with --replay {folder}/{name}/{file}" in (
            trained.error
        )
        saved = torch.load(folder / name / file, weights_only=False)["state_dict"]
        assert {key: t.shape for key, t in saved.items() if key in trained_shapes(two)} == (
            trained_shapes(two)
        )


def trained_shapes(two):
    weights = two["ddp"][0].weights
    return {name: tensor.shape for name, tensor in weights.items() if not name.startswith("ema.")}


def test_weights_that_the_first_rank_cannot_read_stop_all(two):
    for trained in two["no weights"]:
        assert trained.error.startswith("WeightsError: ") and "gone.pth is not a file" in (
            trained.error
        )


def test_processes_that_cannot_be_dealt_are_an_error(two):
    expected = "sharding.replicate is 3, but 2 processes are not a multiple of it"
    assert all(expected in trained.error for trained in two["not dealt"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sharding": dict(type="fsdp1")}, r"sharding.type: expected one of 'fsdp2'"),
        ({"sharding": dict(type="fsdp2", replicates=2)}, 'Did you mean "replicate"'),
        ({"sharding": dict(type="fsdp2", replicate=0)}, "sharding.replicate: .*>= 1"),
        ({"sharding": dict(type="fsdp2", cpu_offload=1)}, "sharding.cpu_offload: expected"),
        ({"sharding": dict(replicate=2)}, "sharding.*type"),
        ({"sharding": True}, "sharding: expected"),
        ({"activation_checkpointing": dict(every=0)}, "activation_checkpointing.every"),
    ],
    ids=["type", "key", "range", "kind", "no type", "no dict", "every"],
)
def test_a_wrong_setting_is_a_sentence(options, message):
    with pytest.raises(ConfigError, match=message):
        load_config(FACE, options)


def test_a_misspelt_key_is_an_error(tmp_path):
    (tmp_path / "config.py").write_text(f"_base_ = [{str(FACE)!r}]\nshardings = dict(type='fsdp2')")
    with pytest.raises(ConfigError, match=r'"shardings"\. Did you mean "sharding"'):
        load_config(tmp_path / "config.py")
