from dataclasses import replace

import pytest
import torch

from engine.config import load_config
from engine.errors import ConfigError
from engine.flops import training_flops
from engine.model.base import BaseModel
from mmsapiens.benchmarks import model
from mmsapiens.benchmarks.model import Timing, Variant, _parts_table, _summary, measure
from tests.mmsapiens.commands.conftest import run_verb

CONFIG = "configs/seg/face/sapiens_0.3b_face-1024x768.py"
SMALL = {
    "input_size_hw": (64, 48),
    "model.backbone.arch": "tiny",
    "model.decode_head.deconv_out_channels": (32,),
    "model.decode_head.deconv_kernel_sizes": (4,),
    "model.decode_head.conv_out_channels": (32,),
    "model.decode_head.conv_kernel_sizes": (1,),
}


@pytest.fixture
def variant(root):
    return Variant(
        config=str(root / CONFIG),
        options=SMALL,
        batch_size=2,
        dtype="bfloat16",
        device="cpu",
        steps=2,
        cpu_time=False,
    )


@pytest.mark.parametrize(
    "changes", [{}, {"plain": True}, {"activation_checkpointing": True}], ids=str
)
def test_parts_add_up_to_the_step(variant, changes):
    timing = measure(replace(variant, **changes))
    assert set(timing.parts) == {"backbone", "decode_head", "loss", "backward", "optimizer"}
    assert all(seconds > 0 for seconds in timing.parts.values())
    assert sum(timing.parts.values()) == pytest.approx(timing.seconds)
    assert timing.mfu is None and timing.peak_bytes >= 0


@pytest.mark.parametrize("compiled", [False, True])
def test_a_model_is_compiled_if_asked_for(variant, compiled, monkeypatch):
    seen = []
    monkeypatch.setattr(model, "compile_blocks", seen.append)
    measure(replace(variant, compile=compiled, steps=1))
    assert [type(found).__name__ for found in seen] == ["EncoderDecoder"] * compiled


def test_tflops_are_those_of_the_batch(variant):
    timing = measure(variant)
    flops = training_flops(load_config(variant.config, SMALL).model, (64, 48))
    assert timing.tflops == pytest.approx(2 * flops / timing.seconds / 1e12)


def test_names_say_what_is_switched_on(variant):
    assert variant.name == "bfloat16"
    every = replace(variant, compile=True, activation_checkpointing=True)
    assert every.name == "bfloat16 + compiled + activation checkpointing"
    assert replace(variant, plain=True, dtype="float32").name == "plain eager float32"


def test_tables_compare_with_the_first(variant):
    variants = [variant, replace(variant, compile=True)]
    timings = [
        Timing(4.0, {"backbone": 1.0, "loss": 3.0}, 3 * 2**30, 1.5, 0.25),
        Timing(0.5, {"backbone": 0.2, "loss": 0.3}, 2**30, 12.0, None),
    ]
    first, second = _summary(variants, timings).splitlines()[2:]
    assert first.split() == [
        "bfloat16",
        *["4.000", "0.500", "1.00", "3.00", "1.00", "1.500", "25.0%"],
    ]
    assert second.split()[3:] == ["0.500", "4.000", "8.00", "1.00", "3.00", "12.000"]
    first, second = _parts_table(variants, timings).splitlines()[2:]
    assert first.split() == ["bfloat16", "1.000", "3.000"] and second.endswith("0.200  0.300")


def test_models_that_make_no_targets_are_an_error():
    with pytest.raises(ConfigError, match=r"BaseModel makes no targets.*synthetic_targets"):
        BaseModel().synthetic_targets(torch.zeros(1, 3, 4, 4))


def test_command_line(root, tmp_path):
    options = [f"{key}={value}".replace(" ", "") for key, value in SMALL.items()]
    args = ("model", root / CONFIG, "--steps", "1", "--cpu-time", "--cfg-options", *options)
    done = run_verb(tmp_path, "benchmark", *args)
    assert done.returncode == 0, done.stderr
    for column in ("images/s", "peak GiB", "TFLOP/s", "decode_head", "optimizer"):
        assert column in done.stdout
