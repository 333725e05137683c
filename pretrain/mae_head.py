"""What the decoder's prediction is compared with, and how."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError
from pretrain.registry import MODELS

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
