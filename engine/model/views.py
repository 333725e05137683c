"""Test-time augmentation: the logits of mirrored and resized views of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from engine.errors import ConfigError


class TestTimeAugmentation:
    """Which views of the network's input are predicted besides, or instead of, itself.

    Resized views are made of the input, not of the original image: enlarging adds no detail, but
    shows the network people of another size.

    Args:
        flip: Also mirror each view.
        scales: Factors of the input's height and width; sizes are rounded to whole patches.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    def __init__(self, flip: bool = True, scales: Sequence[float] = (1.0,)) -> None:
        if not scales or min(scales) <= 0:
            raise ConfigError(f"model.tta: scales are factors > 0, found {scales!r}.")
        self.flip = flip
        self.scales = tuple(scales)

    def views(
        self,
        forward: Callable[[Tensor], Tensor],
        inputs: Tensor,
        patch_size: int,
        dataset_meta: Mapping[str, Any] | None,
    ) -> list[Tensor]:
        """Predicts all views, and undoes the mirroring.

        Args:
            forward: Maps images (B, 3, H, W) to logits (B, C, h, w).
            inputs: The batch (B, 3, H, W).
            patch_size: Of the network, in pixels.
            dataset_meta: With ``swap_seg_labels``: pairs of labels that a mirror exchanges.

        Returns:
            Float32 logits (B, C, h, w) of each view, upright, each of its own resolution.

        Raises:
            ConfigError: If views are mirrored, and the pairs are not known.
        """
        logits = []
        for scale in self.scales:
            size_hw = tuple(_whole_patches(n * scale, patch_size) for n in inputs.shape[-2:])
            view = inputs
            if size_hw != tuple(inputs.shape[-2:]):
                view = F.interpolate(inputs, size_hw, mode="bilinear", antialias=True)
            logits.append(forward(view).float())
            if self.flip:
                logits.append(_mirror(forward(view.flip(-1)).float(), dataset_meta))
        return logits


def _whole_patches(length: float, patch_size: int) -> int:
    return max(round(length / patch_size), 1) * patch_size


def _mirror(logits: Tensor, dataset_meta: Mapping[str, Any] | None) -> Tensor:
    pairs = (dataset_meta or {}).get("swap_seg_labels")
    if pairs is None:
        raise ConfigError(
            "model.tta mirrors images, but nothing says which classes a mirror exchanges: set "
            "dataset_meta of the model to a dataset's metainfo, or tta=dict(flip=False)."
        )
    order = list(range(logits.shape[1]))
    for a, b in pairs:
        order[a], order[b] = b, a
    return logits[:, order].flip(-1)
