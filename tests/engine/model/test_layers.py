import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.errors import ConfigError
from engine.model.layers import InstanceNormSiLU, conv_layers, deconv_layers, stages

FORMATS = [torch.contiguous_format, torch.channels_last]
needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="inductor needs a C++ compiler"
)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


def exact(x):
    """The definition, in float64."""
    x = x.double()
    var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return F.silu((x - mean) / (var + 1e-5).sqrt())


def inputs(device, dtype, memory_format):
    torch.manual_seed(0)
    x, grad = (3 * torch.randn(3, 8, 6, 5, device=device) + 1 for _ in range(2))
    return [t.to(dtype).contiguous(memory_format=memory_format) for t in (x, grad)]


def result_and_gradient(norm, x, grad):
    x = x.clone().requires_grad_()
    y = norm(1 * x)
    return y, torch.autograd.grad(y, x, grad)[0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("grad_format", FORMATS)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_equals_the_definition(device, memory_format, grad_format, dtype, tolerance):
    x, grad = inputs(device, dtype, memory_format)
    y, x_grad = result_and_gradient(
        InstanceNormSiLU(), x, grad.contiguous(memory_format=grad_format)
    )
    expected, expected_grad = result_and_gradient(exact, x, grad)
    assert y.dtype == dtype and y.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(y.double(), expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(x_grad.double(), expected_grad.double(), atol=tolerance, rtol=0)


def test_bfloat16_loses_only_its_own_rounding():
    x, grad = inputs("cpu", torch.bfloat16, torch.channels_last)
    y, x_grad = result_and_gradient(InstanceNormSiLU(), x, grad)
    expected, expected_grad = result_and_gradient(exact, x, grad)
    assert (y - expected).norm() < 4e-3 * expected.norm()
    assert (x_grad - expected_grad).norm() < 8e-3 * expected_grad.norm()


def test_images_of_a_batch_do_not_mix():
    x, grad = inputs("cpu", torch.float32, torch.channels_last)
    together = result_and_gradient(InstanceNormSiLU(), x, grad)
    for i in range(len(x)):
        alone = result_and_gradient(InstanceNormSiLU(), x[i : i + 1], grad[i : i + 1])
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[i : i + 1], part)


def test_keeps_one_map_for_the_backward_pass():
    kept = []
    x = torch.randn(2, 8, 16, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append(t.numel()) or t, lambda t: t
    ):
        InstanceNormSiLU()(x + 1)
    assert sum(n == x.numel() for n in kept) == 1


@pytest.mark.parametrize(
    "backend, dtype",
    [
        ("aot_eager", torch.float32),
        ("aot_eager", torch.bfloat16),
        pytest.param("inductor", torch.bfloat16, marks=needs_compiler),
    ],
)
def test_compiled_equals_eager(backend, dtype):
    x, grad = inputs("cpu", dtype, torch.channels_last)
    compiled = InstanceNormSiLU()
    compiled.compile(backend=backend)
    for mine, other in zip(
        result_and_gradient(compiled, x, grad),
        result_and_gradient(InstanceNormSiLU(), x, grad),
        strict=True,
    ):
        tolerance = 1e-5 if dtype == torch.float32 else 3e-2
        torch.testing.assert_close(mine, other, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "make, conv", [(deconv_layers, nn.ConvTranspose2d), (conv_layers, nn.Conv2d)]
)
def test_parameters_are_at_the_releases_indices(make, conv):
    layers = make(4, (8, 6), (3, 3))
    assert {name.split(".")[0] for name in layers.state_dict()} == {"0", "3"}
    parts = stages(layers)
    assert [type(part[0]) for part in parts] == [conv, conv]
    x = torch.randn(2, 4, 5, 3)
    torch.testing.assert_close(parts[1](parts[0](x)), layers(x))


@pytest.mark.parametrize(("make", "name"), [(deconv_layers, "deconv"), (conv_layers, "conv")])
def test_each_layer_needs_channels_and_a_kernel(make, name):
    message = f"{name}_out_channels says 3 layers, {name}_kernel_sizes 2"
    with pytest.raises(ConfigError, match=message):
        make(4, (4, 4, 4), (4, 4))
