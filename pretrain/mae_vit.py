"""The encoder of masked autoencoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.errors import ConfigError
from pretrain.position import check_positions, check_positions_on_load, sincos_positions
from pretrain.registry import MODELS
from pretrain.vision_transformer import VisionTransformer


@MODELS.register_module()
class MAEViT(VisionTransformer):
    """A vision transformer that sees a random part of the patches (He et al., 2022).

    It has a class token, and positions that are a fixed sin-cos table. Its tensors are those of a
    ``VisionTransformer``, which makes features of whole images with them.

    Args:
        arch: See ``VisionTransformer``.
        img_size: (H, W), or one int; square, and the only size that images may have.
        mask_ratio: Share of the patches to remove, in [0, 1). 0 is good for measurements only.
        **kwargs: Of ``VisionTransformer``: ``activation_checkpointing``, ...

    Raises:
        ConfigError: If no patch would be kept, or patches do not tile a square image.
    """

    def __init__(
        self,
        arch: str | dict[str, int],
        *,
        img_size: int | Sequence[int] = 1024,
        mask_ratio: float = 0.75,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            arch,
            img_size=img_size,
            with_cls_token=True,
            out_type="raw",
            pos_embed_init="sincos",
            **kwargs,
        )
        height, width = self.img_size_hw
        if height != width or height % self.patch_size or self.patch_padding:
            raise ConfigError(
                "MAEViT: pretraining is on square images that its patches tile: expected "
                f"input_size_hw with equal sides, multiples of {self.patch_size}, and no patch "
                f"padding; found {height}x{width} (height x width), padding {self.patch_padding}."
            )
        self.num_patches = self.grid_hw[0] * self.grid_hw[1]
        self.set_mask_ratio(mask_ratio)
        self.pos_embed.requires_grad_(False)
        self.register_load_state_dict_pre_hook(partial(check_positions_on_load, "pos_embed"))

    def set_mask_ratio(self, mask_ratio: float) -> None:
        """Sets the share of the patches to remove, in [0, 1).

        Raises:
            ConfigError: If no patch would be kept.
        """
        self.num_kept = int(self.num_patches * (1 - mask_ratio))
        if not (0 <= mask_ratio < 1 and self.num_kept):
            raise ConfigError(
                f"MAEViT: mask_ratio={mask_ratio!r} keeps none of {self.num_patches} patches, or "
                "is negative. Choose one in [0, 1) that keeps at least one; the release has 0.75."
            )

    def resize_pos_embed(
        self, pos_embed: Tensor, source_hw: tuple[int, int], target_hw: tuple[int, int]
    ) -> Tensor:
        """Checks the table of one grid, and returns that of another; nothing is interpolated.

        Raises:
            WeightsError: If ``pos_embed`` is not the table of ``source_hw``.
        """
        check_positions(pos_embed, source_hw)
        return sincos_positions(target_hw, self.embed_dims).to(pos_embed)

    def draw_mask(self, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Chooses the patches with the smallest noise.

        Args:
            noise: (B, N).

        Returns:
            Indices of the kept patches (B, K); the mask (B, N), 0 = kept and 1 = removed; and the
            indices (B, N) that put kept patches, followed by removed ones, back into their places.
        """
        order = noise.argsort(dim=1)
        mask = torch.ones_like(noise)
        kept = order[:, : self.num_kept]
        return kept, mask.scatter_(1, kept, 0.0), order.argsort(dim=1)

    def forward(  # type: ignore[override]  # the decoder needs to know what was removed
        self, x: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes what is kept of images; only that passes through the layers.

        Args:
            x: Normalised images (B, 3, H, W) of the configured size.
            noise: (B, N), fixes which patches are kept: the smallest. Drawn if absent.

        Returns:
            Class token and kept patches (B, 1 + K, D), the mask (B, N), and the indices that
            restore the order of the patches (B, N); see ``draw_mask``.

        Raises:
            ConfigError: If images are of another size.
            ValueError: If the noise has another shape.
        """
        if x.shape[-2:] != self.img_size_hw:
            raise ConfigError(
                f"MAEViT: the images are {x.shape[-2]}x{x.shape[-1]} (height x width), but the "
                f"model is for {self.img_size_hw[0]}x{self.img_size_hw[1]}. Set input_size_hw, and "
                "let the pipeline end its geometry with that size."
            )
        x, _ = self.patch_embed(x)
        x = x + self.pos_embed[:, 1:]
        if noise is None:
            noise = torch.rand(x.shape[:2], device=x.device)
        elif noise.shape != x.shape[:2]:
            raise ValueError(
                f"noise: expected one number for each patch, {tuple(x.shape[:2])}; found "
                f"{tuple(noise.shape)}"
            )
        kept, mask, restore = self.draw_mask(noise)
        x = x.gather(1, kept[..., None].expand(-1, -1, x.shape[-1]))
        cls_token = (self.cls_token + self.pos_embed[:, :1]).expand(x.shape[0], -1, -1)
        x = self.drop_after_pos(torch.cat((cls_token, x), dim=1))
        return self.run_layers(x)[-1], mask, restore
