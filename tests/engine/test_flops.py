import pytest
import torch
from mmengine.registry import init_default_scope

from engine.config import load_config
from engine.flops import peak_tflops, training_flops
from pretrain.registry import MODELS

# Multiply-adds of a forward pass at 1024 x 768, in 10^12, the attention's included.
BACKBONES = {"0.3b": 1.39, "0.6b": 2.71, "1b": 4.64, "2b": 8.27}


@MODELS.register_module()
class BackboneAlone(torch.nn.Module):
    """A backbone with the modes of a task's model."""

    def __init__(self, arch):
        super().__init__()
        cfg = dict(type="VisionTransformer", with_cls_token=False, out_type="featmap")
        self.backbone = MODELS.build({**cfg, "arch": arch})

    def forward(self, inputs, mode):
        return self.backbone(inputs)


@pytest.mark.parametrize("arch", BACKBONES)
def test_backbones_take_what_their_sizes_say(arch):
    cfg = dict(type="pretrain.BackboneAlone", arch=arch)
    macs = training_flops(cfg, (1024, 768)) / 3 / 2 / 1e12
    assert macs == pytest.approx(BACKBONES[arch], abs=0.005)


def test_the_head_is_counted(root):
    """Counted by hand: each output pixel of a deconvolution of stride 2 sums 2 x 2 taps."""
    cfg = load_config(root / "configs/seg/face/sapiens_0.3b_face-1024x768.py")
    init_default_scope(cfg.default_scope)
    grid, c = 64 * 48, 768
    deconvs = 4 * grid * 4 * c * 1024 + 4 * 16 * grid * c * c * (1 + 4)
    deconvs = grid * 16 * (1024 * c + 4 * c * c + 16 * c * c)
    convs = 64 * grid * (3 * c * c + 19 * c)
    macs = training_flops(cfg.model, (1024, 768)) / 6
    assert macs == pytest.approx(1.39e12 + deconvs + convs, rel=0.005)


def test_counting_draws_no_random_numbers(root):
    cfg = load_config(root / "configs/seg/face/sapiens_0.3b_face-1024x768.py")
    init_default_scope(cfg.default_scope)
    state = torch.get_rng_state()
    training_flops(cfg.model, (64, 48))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "name, peak",
    [
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA H100 80GB HBM3", 989.0),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA H200", 989.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40S", 362.0),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("Tesla T4", None),
    ],
)
def test_peaks_are_found_by_name(name, peak):
    assert peak_tflops(name) == peak
