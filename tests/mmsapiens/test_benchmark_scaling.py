"""Sharded training on paper: bytes by hand, and what limits."""

import pytest

from engine.errors import ConfigError
from mmsapiens.benchmarks.scaling import Model, count, step_of, table
from mmsapiens.cli import dispatch

RATES = {"tflops": 100.0, "nvlink": 100.0, "network": 10.0}
BILLION = Model(flops=1e12, weights=10**9, messages=10)


def test_what_is_sent_within_a_node():
    step = step_of(BILLION, 8, 1, **RATES)
    # Twice the weights in bfloat16 and the gradients in float32, of which a GPU has an eighth.
    assert step.nvlink == pytest.approx((2 * 2 + 4) * 1e9 * 7 / 8) and step.network == 0
    assert step.sending == pytest.approx(0.07) and step.computing == pytest.approx(0.01)
    assert step.state == pytest.approx(16e9 / 8)
    assert step.limit == "bytes on the wire"


def test_what_crosses_the_network_crosses_it_once_a_node():
    step = step_of(BILLION, 16, 1, **RATES)
    assert step.network == pytest.approx(8e9 * 15 / 16 / 8)
    assert step.sending == pytest.approx(max(8 * 15 / 16 / 100, 15 / 16 / 10))


def test_groups_send_only_their_shards_of_gradients_over_the_network():
    step = step_of(BILLION, 16, 2, **RATES)
    assert step.nvlink == step_of(BILLION, 8, 1, **RATES).nvlink
    assert step.network == pytest.approx(2 * 4e9 / 8 / 2)


def test_long_rings_limit_many_gpus_and_groups_shorten_them():
    model = BILLION._replace(flops=1e13, messages=50)
    alone, grouped = (step_of(model, 512, r, **RATES) for r in (1, 64))
    assert alone.limit == "hops of the rings" and alone.hopping > 3 * grouped.hopping
    assert grouped.limit != alone.limit and alone.efficiency < grouped.efficiency


def test_a_config_is_counted(root):
    config = str(root / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py")
    one, two = (count(config, None, size) for size in (1, 2))
    assert two.flops == 2 * one.flops and two.weights == one.weights
    assert one.messages == 6 + 2
    assert "computing ms" in table({(8, 1): step_of(one, 8, 1, **RATES)})


def test_an_unknown_gpu_is_a_sentence():
    words = ["benchmark", "scaling", "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"]
    with pytest.raises(ConfigError, match="--gpu H1000: known are "):
        dispatch([*words, "--gpu", "H1000"])
