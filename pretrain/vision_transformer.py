"""The vision transformer of Sapiens (Khirodkar et al., 2024) in plain PyTorch.

    model = VisionTransformer("0.3b", with_cls_token=False, out_type="featmap")
    (featmap,) = model(images)  # (B, 3, 1024, 768) -> (B, 1024, 64, 48)

State-dict keys and arithmetic are those of the released weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pretrain.position import sincos_positions
from pretrain.vit_layers import Block, PatchEmbed

ARCHS: dict[str, dict[str, int]] = {
    # Not released: small enough for tests and for training on a CPU.
    "tiny": {"embed_dims": 192, "num_layers": 6, "num_heads": 3, "feedforward_channels": 768},
    "0.3b": {"embed_dims": 1024, "num_layers": 24, "num_heads": 16, "feedforward_channels": 4096},
    "0.6b": {"embed_dims": 1280, "num_layers": 32, "num_heads": 16, "feedforward_channels": 5120},
    "1b": {"embed_dims": 1536, "num_layers": 40, "num_heads": 24, "feedforward_channels": 6144},
    "2b": {"embed_dims": 1920, "num_layers": 48, "num_heads": 32, "feedforward_channels": 7680},
}

OUT_TYPES = ("cls_token", "raw", "featmap", "avg_featmap")
POS_EMBED_INITS = ("trunc_normal", "sincos")


class VisionTransformer(nn.Module):
    """Vision transformer with learnable absolute positions.

    Args:
        arch: A name of ``ARCHS``, also as ``sapiens_<name>``, in any case; or a dict with
            embed_dims, num_layers, num_heads and feedforward_channels.
        img_size: (H, W), or one int for a square, that ``pos_embed`` is made for. Images of other
            sizes are welcome: positions are then resized on the fly.
        patch_size: Side of a patch in pixels.
        in_channels: Channels of the image.
        out_indices: Layers whose output is returned, negative ones counted from the end.
        drop_rate: Dropout after the positions, the attention's projection and the linear layers.
        drop_path_rate: Drop-path probability of the last layer; it grows linearly from 0.
        qkv_bias: Whether the fused projection has a bias.
        final_norm: Whether the last layer's output is normalised; earlier ones never are.
        with_cls_token: Whether a class token precedes the patches.
        out_type: What each output is: ``"cls_token"`` (B, D), ``"raw"`` all tokens (B, N, D),
            ``"featmap"`` (B, D, h, w), ``"avg_featmap"`` normalised mean of the patches (B, D).
        patch_cfg: ``dict(padding=...)``: 2 for the released pose, normal, LIP and CIHP models; 0 or
            ``"corner"`` (default) for the others. The weights do not tell. See ``PatchEmbed``.
        pos_embed_init: Of a model from scratch: ``"trunc_normal"``, noise of 0.02 as in the
            release, or ``"sincos"``, the table that MAE keeps, from which a short training gets
            farther. Both are then learnt.
        frozen_stages: Freezes the embeddings (0) and the first n layers (n), at most all of them.
            -1 freezes nothing.
        activation_checkpointing: Recompute each layer in the backward pass instead of storing its
            activations; of a number n, each nth layer.
        init_cfg: Stored for MMEngine; read by the model that holds this one.

    Attributes:
        patch_size: Side of a patch in pixels.
        patch_padding: Zero padding on all four sides of the image, in pixels; 0 pads only to whole
            patches.
        grid_hw: Rows and columns of patches that ``pos_embed`` is for.

    Raises:
        ValueError: Unknown arch, out_type, patch_cfg, pos_embed_init or out_indices, or more
            frozen_stages than layers.
    """

    ARCHS = ARCHS

    def __init__(
        self,
        arch: str | dict[str, int],
        *,
        img_size: int | Sequence[int] = (1024, 768),
        patch_size: int = 16,
        in_channels: int = 3,
        out_indices: int | Sequence[int] = -1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        final_norm: bool = True,
        with_cls_token: bool = True,
        out_type: str = "cls_token",
        patch_cfg: dict[str, Any] | None = None,
        pos_embed_init: str = "trunc_normal",
        frozen_stages: int = -1,
        activation_checkpointing: bool | int = False,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if out_type not in OUT_TYPES:
            raise ValueError(f"out_type {out_type!r} is none of {', '.join(OUT_TYPES)}")
        if out_type == "cls_token" and not with_cls_token:
            raise ValueError('out_type="cls_token" needs with_cls_token=True')
        if pos_embed_init not in POS_EMBED_INITS:
            raise ValueError(
                f"pos_embed_init {pos_embed_init!r} is none of {', '.join(POS_EMBED_INITS)}"
            )
        self.pos_embed_init = pos_embed_init
        self.arch = _arch_settings(arch)
        self.embed_dims = self.arch["embed_dims"]
        self.num_layers = self.arch["num_layers"]
        if not -1 <= frozen_stages <= self.num_layers:
            raise ValueError(
                f"frozen_stages is in -1..{self.num_layers}, the number of layers; "
                f"got {frozen_stages}"
            )
        self.out_indices = _layer_indices(out_indices, self.num_layers)
        self.out_type = out_type
        self.final_norm = final_norm
        self.activation_checkpointing = activation_checkpointing
        self.init_cfg = init_cfg

        self.patch_size = patch_size
        self.patch_padding = _patch_padding(patch_cfg)
        self.patch_embed = PatchEmbed(in_channels, self.embed_dims, patch_size, self.patch_padding)
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        self.img_size_hw = (height, width)
        self.grid_hw = self.patch_embed.grid_hw(self.img_size_hw)
        self.num_extra_tokens = int(with_cls_token)
        if with_cls_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        num_tokens = self.grid_hw[0] * self.grid_hw[1] + self.num_extra_tokens
        self.pos_embed = nn.Parameter(torch.zeros(1, num_tokens, self.embed_dims))
        self.drop_after_pos = nn.Dropout(drop_rate)
        self.layers = nn.ModuleList(
            Block(
                self.embed_dims,
                self.arch["num_heads"],
                self.arch["feedforward_channels"],
                qkv_bias=qkv_bias,
                drop=drop_rate,
                drop_path=drop_path_rate * i / max(self.num_layers - 1, 1),
            )
            for i in range(self.num_layers)
        )
        if final_norm:
            self.ln1 = nn.LayerNorm(self.embed_dims, eps=1e-6)
        if out_type == "avg_featmap":
            self.ln2 = nn.LayerNorm(self.embed_dims, eps=1e-6)
        self._reset_tokens()
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self.layer_id(name) > frozen_stages)

    def init_weights(self) -> None:
        """Draws all weights anew, as the constructor does."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.LayerNorm):
                module.reset_parameters()
        self._reset_tokens()

    def _reset_tokens(self) -> None:
        if self.pos_embed_init == "trunc_normal":
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        else:
            table = sincos_positions(self.grid_hw, self.embed_dims)
            self.pos_embed.data.copy_(table[:, 1 - self.num_extra_tokens :])
        if self.num_extra_tokens:
            nn.init.normal_(self.cls_token, std=0.02)

    def layer_id(self, param_name: str) -> int:
        """The depth of a parameter of this module, for layer-wise learning rates.

        Args:
            param_name: Name as in ``named_parameters()`` of this module.

        Returns:
            0 for tokens, positions and patch projection, i + 1 for ``layers.i``, and
            ``num_layers + 1`` for everything after the layers.
        """
        part, _, rest = param_name.partition(".")
        if part in ("cls_token", "mask_token", "pos_embed", "patch_embed"):
            return 0
        if part == "layers":
            return int(rest.partition(".")[0]) + 1
        return self.num_layers + 1

    def resize_pos_embed(
        self, pos_embed: Tensor, source_hw: tuple[int, int], target_hw: tuple[int, int]
    ) -> Tensor:
        """Resizes positions bicubically, in fp32; the class token's slot is kept as it is.

        Args:
            pos_embed: (1, extra + h*w, D) with this model's number of extra tokens.
            source_hw: The grid (h, w) that it is for.
            target_hw: The grid that it shall be for.

        Returns:
            (1, extra + target h*w, D) in the dtype of ``pos_embed``.
        """
        extra = pos_embed[:, : self.num_extra_tokens]
        grid = pos_embed[:, self.num_extra_tokens :].float()
        grid = grid.reshape(1, *source_hw, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=target_hw, mode="bicubic", align_corners=False)
        grid = grid.flatten(2).transpose(1, 2).to(pos_embed.dtype)
        return torch.cat((extra, grid), dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Encodes images.

        Args:
            x: Normalised images (B, C, H, W) of any size that holds at least one patch.

        Returns:
            One tensor for each of ``out_indices``, in order of depth; for shapes see ``out_type``.
        """
        x, grid_hw = self.patch_embed(x)
        if self.num_extra_tokens:
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        pos_embed: Tensor = self.pos_embed
        if grid_hw != self.grid_hw:
            pos_embed = self.resize_pos_embed(pos_embed, self.grid_hw, grid_hw)
        x = self.drop_after_pos(x + pos_embed)
        return tuple(self._format_output(y, grid_hw) for y in self.run_layers(x))

    def run_layers(self, x: Tensor) -> list[Tensor]:
        """Tokens (B, N, D) with positions -> those (B, N, D) after each of ``out_indices``."""
        every = self.activation_checkpointing if torch.is_grad_enabled() else 0
        outputs = []
        for i, layer in enumerate(self.layers):
            recompute = every and i % every == 0
            x = checkpoint(layer, x, use_reentrant=False) if recompute else layer(x)
            if self.final_norm and i == self.num_layers - 1:
                x = self.ln1(x)
            if i in self.out_indices:
                outputs.append(x)
        return outputs

    def _format_output(self, x: Tensor, grid_hw: tuple[int, int]) -> Tensor:
        if self.out_type == "raw":
            return x
        if self.out_type == "cls_token":
            return x[:, 0]
        patches = x[:, self.num_extra_tokens :]
        if self.out_type == "avg_featmap":
            return self.ln2(patches.mean(dim=1))
        return patches.transpose(1, 2).unflatten(2, grid_hw)  # channels-last, as heads want it


def _arch_settings(arch: str | dict[str, int]) -> dict[str, int]:
    if isinstance(arch, str):
        name = arch.lower().removeprefix("sapiens_")
        if name not in ARCHS:
            raise ValueError(f"arch {arch!r} is none of {', '.join(ARCHS)} (or sapiens_<name>)")
        return dict(ARCHS[name])
    keys = ARCHS["tiny"].keys()
    if set(arch) != set(keys):
        raise ValueError(f"a dict arch needs exactly {', '.join(keys)}; got {sorted(arch)}")
    return dict(arch)


def _layer_indices(out_indices: int | Sequence[int], num_layers: int) -> tuple[int, ...]:
    indices = [out_indices] if isinstance(out_indices, int) else list(out_indices)
    for index in indices:
        if not -num_layers <= index < num_layers:
            raise ValueError(f"out_indices: {index} is not a layer of {num_layers}")
    return tuple(sorted({index % num_layers for index in indices}))


def _patch_padding(patch_cfg: dict[str, Any] | None) -> int:
    settings = dict(patch_cfg or {})
    padding = settings.pop("padding", "corner")
    if settings:
        raise ValueError(f"patch_cfg takes only 'padding'; got also {sorted(settings)}")
    if padding == "corner":
        return 0
    if isinstance(padding, int) and padding >= 0:
        return padding
    raise ValueError(f"patch_cfg: padding must be 'corner' or an int >= 0; got {padding!r}")
