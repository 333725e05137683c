"""Masked autoencoding: predict the removed patches of an image from the kept ones."""

from __future__ import annotations

from functools import partial
from math import isqrt

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.data.sample import DataSample
from engine.data.sampling import MASK_STREAM
from engine.errors import ConfigError
from engine.model.base import BaseModel, Targets
from pretrain.position import check_positions_on_load, sincos_positions
from pretrain.registry import MODELS
from pretrain.vit_layers import Block, Linear


@MODELS.register_module()
class MAE(BaseModel):
    """A masked autoencoder (He et al., 2022).

    Every mode takes ``noise`` (B, N), which fixes the masks: the ``N * (1 - mask_ratio)`` patches
    with the smallest noise are kept. By default a mask belongs to its sample, as its crop does: it
    is drawn from the sample's key, so that a resumed run sees the masks of an uninterrupted one.
    Images without a key get masks from torch's generator.

    Args:
        backbone: Config of the ``MAEViT``.
        neck: Config of the ``MAEPretrainDecoder``; sizes of the encoder are filled in.
        head: Config of the ``MAEPretrainHead``; the patch size is filled in.
        data_preprocessor: Config of the preprocessor.
        eval_dtype: See :class:`engine.model.base.BaseModel`.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        data_preprocessor: dict | None = None,
        eval_dtype: str = "float32",
    ) -> None:
        super().__init__(data_preprocessor, eval_dtype)
        self.backbone = MODELS.build(backbone)
        patch_size = {"patch_size": self.backbone.patch_size}
        encoder = {"num_patches": self.backbone.num_patches, "embed_dim": self.backbone.embed_dims}
        self.neck = MODELS.build({**patch_size, **encoder, **neck})
        self.head = MODELS.build({**patch_size, **head})

    def forward_tensor(self, inputs: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Predicts patches (B, N, P*P*C) of images (B, 3, H, W).

        Returns:
            The prediction, of all patches, and the mask (B, N), 1 = removed.
        """
        latent, mask, restore = self.backbone(inputs, noise)
        return self.neck(latent, restore), mask

    def loss(
        self,
        inputs: Tensor,
        targets: Targets,
        data_samples: list[DataSample] | None = None,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Returns the head's loss over the removed patches."""
        noise = self._noise(data_samples, inputs.device) if noise is None else noise
        pred, mask = self.forward_tensor(inputs, noise)
        return self.head.loss(pred, inputs, mask)

    def synthetic_targets(self, inputs: Tensor) -> dict[str, Tensor]:
        """Returns none: the images are the targets."""
        return {}

    def predict(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        noise: Tensor | None = None,
    ) -> list[DataSample]:
        """Adds ``reconstruction``, a predicted RGB image (3, H, W) uint8, and ``patch_mask``
        (1, h, w), 1 where a patch was removed.
        """
        noise = self._noise(data_samples, inputs.device) if noise is None else noise
        data_samples = [DataSample() for _ in inputs] if data_samples is None else data_samples
        pred, mask = self.forward_tensor(inputs, noise)
        images = self.data_preprocessor.denormalise(self.head.reconstruct(pred, inputs))
        masks = mask.to(torch.uint8).unflatten(1, self.backbone.grid_hw)
        for sample, image, patch_mask in zip(data_samples, images, masks, strict=True):
            sample.reconstruction = PixelData(data=image)
            sample.patch_mask = PixelData(data=patch_mask[None])
        return data_samples

    def _noise(self, data_samples: list[DataSample] | None, device: torch.device) -> Tensor | None:
        """Draws noise (B, N) from the samples' keys, alike on all devices; None without keys."""
        keys = [sample.metainfo.get("sample_key") for sample in data_samples or ()]
        if not keys or None in keys:
            return None
        num = self.backbone.num_patches
        noise = [np.random.default_rng([*key, MASK_STREAM]).random(num, np.float32) for key in keys]
        return torch.from_numpy(np.stack(noise)).to(device, non_blocking=True)


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
            activations; of a number n, each nth layer. They are many: the decoder sees all patches.
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
        activation_checkpointing: bool | int = False,
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
        every = self.activation_checkpointing if torch.is_grad_enabled() else 0
        for i, block in enumerate(self.decoder_blocks):
            recompute = every and i % every == 0
            x = checkpoint(block, x, use_reentrant=False) if recompute else block(x)
        return self.decoder_pred(self.ln1(x))[:, 1:]


_CRITERIA = {"L1": F.l1_loss, "L2": F.mse_loss}


@MODELS.register_module()
class PixelReconstructionLoss(nn.Module):
    """The mean over removed patches of the mean difference of their pixels.

    Args:
        criterion: ``"L2"`` for squared, ``"L1"`` for absolute differences.
    """

    def __init__(self, criterion: str = "L2") -> None:
        super().__init__()
        if criterion not in _CRITERIA:
            raise ConfigError(
                f"PixelReconstructionLoss: criterion is one of {', '.join(_CRITERIA)}; "
                f"found {criterion!r}."
            )
        self.criterion = criterion

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Compares patches (B, N, P*P*C) where the mask (B, N) is 1.

        Returns:
            Scalar in float32; 0 if the mask removes nothing.
        """
        difference = _CRITERIA[self.criterion](pred.float(), target.float(), reduction="none")
        return (difference.mean(dim=-1) * mask).sum() / mask.sum().clamp(min=1)


@MODELS.register_module()
class MAEPretrainHead(nn.Module):
    """Cuts images into the patches that the decoder shall predict; has no weights.

    Args:
        loss: Config of the loss.
        norm_pix: Give each patch zero mean and unit variance (unbiased, over its P*P*C values) in
            the target, which makes for better features (He et al., 2022, section 4.1).
        patch_size: P, side of a patch in pixels.
    """

    def __init__(self, loss: dict, norm_pix: bool = False, patch_size: int = 16) -> None:
        super().__init__()
        self.loss_module = MODELS.build(loss)
        self.norm_pix = norm_pix
        self.patch_size = patch_size

    def patchify(self, images: Tensor) -> Tensor:
        """(B, C, h*P, w*P) -> (B, h*w, P*P*C), pixels by row, column and channel."""
        size = self.patch_size
        patches = images.unfold(2, size, size).unfold(3, size, size)  # (B, C, h, w, P, P)
        return patches.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)

    def unpatchify(self, patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
        """The inverse of ``patchify``."""
        size = self.patch_size
        blocks = patches.unflatten(2, (size, size, -1)).unflatten(1, grid_hw)  # (B, h, w, P, P, C)
        return blocks.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    def loss(self, pred: Tensor, images: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Compares predicted patches (B, N, P*P*C) with normalised images (B, C, H, W)."""
        target = self.patchify(images)
        if self.norm_pix:
            mean, std = self._statistics(target)
            target = (target - mean) / std
        return {"loss": self.loss_module(pred, target, mask)}

    def reconstruct(self, pred: Tensor, images: Tensor) -> Tensor:
        """Assembles predicted patches to images (B, C, H, W).

        With ``norm_pix`` each patch gets back the mean and the variance that it has in ``images``:
        the model predicts neither.
        """
        pred = pred.float()
        if self.norm_pix:
            mean, std = self._statistics(self.patchify(images))
            pred = pred * std + mean
        size = self.patch_size
        return self.unpatchify(pred, (images.shape[2] // size, images.shape[3] // size))

    @staticmethod
    def _statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
        var = patches.var(dim=-1, keepdim=True)
        return patches.mean(dim=-1, keepdim=True), (var + 1e-6).sqrt()
