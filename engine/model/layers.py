"""Stacks of layers that the heads of several tasks are made of, with the indices of the release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from engine.errors import ConfigError

# Padding and output padding that make a transposed convolution of stride 2 double the size exactly.
_DECONV_PADDING = {4: (1, 0), 3: (1, 1), 2: (0, 0)}

_EPS = 1e-5


class InstanceNormSiLU(nn.Module):
    """``silu(instance_norm(x))`` without parameters, in place of ``x``, in either memory format.

    The maps of a dense head are its memory and, next to the matrix products, its time. Here they
    are passed over as seldom as separate kernels allow, and one is kept for the backward pass
    instead of three. (``nn.InstanceNorm2d`` moreover copies every channels-last map, and in torch
    2.13 gives wrong gradients on the CPU when the incoming one is channels-last.)

    Statistics are float32. Compiled or exported, the plain formula is left to others to fuse.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W); eager, the memory of ``x`` is that of the result."""
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            x_float = x.float()
            var, mean = torch.var_mean(x_float, (2, 3), correction=0, keepdim=True)
            return F.silu((x_float - mean) * torch.rsqrt(var + _EPS)).to(x.dtype)
        y: Tensor = _InstanceNormSiLU.apply(x)
        return y


class _InstanceNormSiLU(torch.autograd.Function):
    """Instance norm of an image is batch norm of it alone, whose kernels know both formats."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        one, zero = _unit(x)
        z = torch.empty_like(x)
        mean, rstd = (x.new_empty(x.shape[:2], dtype=one.dtype) for _ in range(2))
        for i in range(len(x)):
            image = slice(i, i + 1)
            torch.native_batch_norm(
                x[image], one, zero, None, None, True, 0.0, _EPS, out=(z[image], mean[i], rstd[i])
            )
        ctx.mark_dirty(x)
        ctx.save_for_backward(z, rstd)
        torch.ops.aten.silu.out(z, out=x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        z, rstd = ctx.saved_tensors
        one, zero = _unit(z)
        grad = torch.ops.aten.silu_backward(grad, z)
        # z is its own normalised input, of mean 0 and deviation 1; rstd takes the weight's place.
        grads = [
            torch.ops.aten.native_batch_norm_backward(
                grad[i : i + 1], z[i : i + 1], rstd[i], None, None, zero, one, True, _EPS,
                [True, False, False],
            )[0]
            for i in range(len(z))
        ]  # fmt: skip
        return grads[0] if len(grads) == 1 else torch.cat(grads)


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """A weight of one and a bias of zero; as float32 they make the kernels' statistics so too."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    return x.new_ones(x.shape[1], dtype=dtype), x.new_zeros(x.shape[1], dtype=dtype)


def _check_lengths(name: str, out_channels: Sequence[int], kernels: Sequence[int]) -> None:
    if len(out_channels) != len(kernels):
        raise ConfigError(
            f"{name}_out_channels says {len(out_channels)} layers, {name}_kernel_sizes "
            f"{len(kernels)}. Give each layer one of both."
        )


def deconv_layers(
    in_channels: int, out_channels: Sequence[int], kernels: Sequence[int]
) -> nn.Sequential:
    """Transposed convolutions that double the size, each followed by InstanceNorm and SiLU.

    The norm has no parameters, and so no state-dict keys.

    Raises:
        ConfigError: If a kernel is not 2, 3 or 4, or not each layer has one.
    """
    _check_lengths("deconv", out_channels, kernels)
    layers: list[nn.Module] = []
    for channels, kernel in zip(out_channels, kernels, strict=True):
        if kernel not in _DECONV_PADDING:
            raise ConfigError(f"deconv_kernel_sizes holds {kernel}; expected 2, 3 or 4.")
        padding, output_padding = _DECONV_PADDING[kernel]
        deconv = nn.ConvTranspose2d(
            in_channels, channels, kernel, 2, padding, output_padding, bias=False
        )
        layers += [deconv, InstanceNormSiLU(), nn.Identity()]
        in_channels = channels
    return nn.Sequential(*layers)


def conv_layers(
    in_channels: int, out_channels: Sequence[int], kernels: Sequence[int]
) -> nn.Sequential:
    """Convolutions that keep the size, each followed by InstanceNorm and SiLU.

    Raises:
        ConfigError: If not each layer has a kernel.
    """
    _check_lengths("conv", out_channels, kernels)
    layers: list[nn.Module] = []
    for channels, kernel in zip(out_channels, kernels, strict=True):
        conv = nn.Conv2d(in_channels, channels, kernel, padding=(kernel - 1) // 2)
        layers += [conv, InstanceNormSiLU(), nn.Identity()]
        in_channels = channels
    return nn.Sequential(*layers)


def stages(layers: nn.Sequential) -> list[nn.Module]:
    """Splits what this module made into its convolutions, each with what follows it."""
    return [layers[i : i + 3] for i in range(0, len(layers), 3)]
