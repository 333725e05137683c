"""Masked autoencoding: predict the removed patches of an image from the kept ones."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.structures import PixelData
from torch import Tensor

from engine.data.sample import DataSample
from engine.data.sampling import MASK_STREAM
from engine.model.base import BaseModel, Targets
from pretrain.registry import MODELS


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

    def synthetic_targets(self, inputs: Tensor) -> Targets:
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
