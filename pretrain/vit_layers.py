"""The layers of a vision transformer: patches to tokens, attention, blocks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Linear):
    """A linear layer that is drawn as Xavier-uniform with a zero bias."""

    def reset_parameters(self) -> None:
        """Draws the weights anew."""
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class PatchProjection(nn.Conv2d):
    """A convolution that is drawn as what it is: a linear layer over the pixels of a patch."""

    def reset_parameters(self) -> None:
        """Draws the weights anew."""
        super().reset_parameters()
        nn.init.xavier_uniform_(self.weight.flatten(1))


class PatchEmbed(nn.Module):
    """Cuts an image into patches and projects each to a token.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of a token.
        patch_size: Side of a patch in pixels.
        padding: 0 fills the image with zeros at the bottom and right up to whole patches. A
            positive value pads all four sides by as much, which shifts every patch by as much up
            and left, and drops what does not fill a last patch.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int, padding: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.padding = padding
        self.projection = PatchProjection(in_channels, embed_dims, patch_size, patch_size, padding)

    def grid_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """Returns the rows and columns of patches that an image of ``size_hw`` gives."""
        height, width = size_hw
        if self.padding == 0:
            return -(-height // self.patch_size), -(-width // self.patch_size)
        border = 2 * self.padding
        return (height + border) // self.patch_size, (width + border) // self.patch_size

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(B, C, H, W) -> tokens (B, h*w, D), row by row, and their grid (h, w)."""
        height, width = x.shape[-2:]
        if self.padding == 0 and (height % self.patch_size or width % self.patch_size):
            x = F.pad(x, (0, -width % self.patch_size, 0, -height % self.patch_size))
        x = self.projection(x)
        # A transposed view here would stay one through all layers, each of which then copies it.
        return x.flatten(2).transpose(1, 2).contiguous(), (x.shape[2], x.shape[3])


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for queries, keys and values."""

    def __init__(self, embed_dims: int, num_heads: int, qkv_bias: bool, drop: float) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f"embed_dims {embed_dims} is not a multiple of num_heads {num_heads}")
        self.num_heads = num_heads
        self.qkv = Linear(embed_dims, 3 * embed_dims, bias=qkv_bias)
        self.proj = Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        b, n, d = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.num_heads, d // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, D / heads)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj_drop(self.proj(x.transpose(1, 2).reshape(b, n, d)))


class FFN(nn.Module):
    """Two linear layers with an exact GELU between them."""

    def __init__(self, embed_dims: int, hidden_dims: int, drop: float) -> None:
        super().__init__()
        # Nested as the released keys are: layers.0.0 and layers.1.
        self.layers = nn.Sequential(
            nn.Sequential(Linear(embed_dims, hidden_dims), nn.GELU(), nn.Dropout(drop)),
            Linear(hidden_dims, embed_dims),
            nn.Dropout(drop),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        return self.layers(x)


class DropPath(nn.Module):
    """Drops a sample's whole branch with probability ``p`` in training (Huang et al., 2016)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) -> (B, ...), kept samples scaled by 1 / (1 - p)."""
        if not self.training:
            return x
        keep = x.new_empty(x.shape[0], *(1,) * (x.ndim - 1)).bernoulli_(1 - self.p)
        return x * keep / (1 - self.p)


class Block(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        *,
        qkv_bias: bool = True,
        drop: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = Attention(embed_dims, num_heads, qkv_bias, drop)
        self.ln2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.ffn = FFN(embed_dims, feedforward_channels, drop)
        # At 0 there must be no arithmetic at all: even a multiplication by a mask of ones costs
        # memory, and one drawn in bf16 is not always one.
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = x + self.drop_path(self.attn(self.ln1(x)))
        x = x + self.drop_path(self.ffn(self.ln2(x)))
        return x
