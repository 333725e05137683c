"""The decoder of masked autoencoding."""

from __future__ import annotations

from functools import partial
from math import isqrt

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pretrain.position import check_positions_on_load, sincos_positions
from pretrain.registry import MODELS
from pretrain.vit_layers import Block, Linear


@MODELS.register_module()
class MAEPretrainDecoder(nn.Module):
    """Predicts the pixels of all patches from the encoded ones (He et al., 2022, section 3).

    Args:
        num_patches: N, of a square image. This and the next are the backbone's; ``MAE`` gives them.
        embed_dim: Channels of an encoded token.
        patch_size: Side of a patch in pixels.
        in_chans: Channels of the image.
        decoder_embed_dim: Channels of the decoder's tokens.
        decoder_depth: Number of layers.
        decoder_num_heads: Heads of each.
        mlp_ratio: Their hidden channels, in multiples of ``decoder_embed_dim``.
        activation_checkpointing: Recompute each layer in the backward pass instead of storing its
            activations. They are many: the decoder sees all patches.
    """

    def __init__(
        self,
        num_patches: int,
        embed_dim: int,
        *,
        patch_size: int = 16,
        in_chans: int = 3,
        decoder_embed_dim: int = 512,
        decoder_depth: int = 8,
        decoder_num_heads: int = 16,
        mlp_ratio: int = 4,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.grid_hw = (isqrt(num_patches), isqrt(num_patches))
        self.activation_checkpointing = activation_checkpointing
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_embed_dim))
        self.decoder_pos_embed = nn.Parameter(
            torch.zeros(1, num_patches + 1, decoder_embed_dim), requires_grad=False
        )
        self.decoder_embed = Linear(embed_dim, decoder_embed_dim)
        self.decoder_blocks = nn.ModuleList(
            Block(decoder_embed_dim, decoder_num_heads, mlp_ratio * decoder_embed_dim)
            for _ in range(decoder_depth)
        )
        self.ln1 = nn.LayerNorm(decoder_embed_dim, eps=1e-6)
        self.decoder_pred = Linear(decoder_embed_dim, patch_size**2 * in_chans)
        self._reset_tokens()
        self.register_load_state_dict_pre_hook(
            partial(check_positions_on_load, "decoder_pos_embed")
        )

    def init_weights(self) -> None:
        """Draws all weights anew, as the constructor does."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.LayerNorm):
                module.reset_parameters()
        self._reset_tokens()

    def _reset_tokens(self) -> None:
        nn.init.normal_(self.mask_token, std=0.02)
        with torch.no_grad():
            table = sincos_positions(self.grid_hw, self.decoder_pos_embed.shape[-1])
            self.decoder_pos_embed.copy_(table)

    def forward(self, x: Tensor, restore: Tensor) -> Tensor:
        """Predicts patches.

        Args:
            x: Encoded class token and kept patches (B, 1 + K, D).
            restore: Indices (B, N) that put kept patches, followed by removed ones, back into
                their places.

        Returns:
            (B, N, P*P*C), pixels by row, column and channel.
        """
        x = self.decoder_embed(x)
        batch, num_patches = restore.shape
        removed = self.mask_token.expand(batch, num_patches + 1 - x.shape[1], -1)
        patches = torch.cat((x[:, 1:], removed), dim=1)
        patches = patches.gather(1, restore[..., None].expand(-1, -1, patches.shape[-1]))
        x = torch.cat((x[:, :1], patches), dim=1) + self.decoder_pos_embed
        recompute = self.activation_checkpointing and torch.is_grad_enabled()
        for block in self.decoder_blocks:
            x = checkpoint(block, x, use_reentrant=False) if recompute else block(x)
        return self.decoder_pred(self.ln1(x))[:, 1:]
