"""Test views: predictions of mirrored and resized views of a batch, averaged by the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config.keys import reject_unknown
from engine.errors import ConfigError


class TestViews:
    """Which views of the network's input are predicted besides, or instead of, itself.

    Resized views are made of the input, not of the original image: enlarging adds no detail, but
    shows the network people of another size.

    Args:
        options: A model's ``test_views``; None is the image alone. ``flip``: also mirror each view.
            ``scales``: factors of the input's height and width; sizes are rounded to whole patches.

    Raises:
        ConfigError: If it is no mapping, has an unknown key, ``flip`` is no bool, or ``scales`` are
            no numbers > 0.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    def __init__(self, options: Mapping[str, Any] | None) -> None:
        if not isinstance(options, Mapping | None):
            raise ConfigError(
                f"model.test_views: expected dict(flip=True, scales=(1.0,)), found {options!r}."
            )
        known = {"flip": False, "scales": (1.0,)}
        reject_unknown("model.test_views", options or {}, known)
        flip, scales = {**known, **(options or {})}.values()
        if not isinstance(flip, bool):
            raise ConfigError(f"model.test_views.flip: expected True or False, found {flip!r}.")
        is_list = isinstance(scales, list | tuple) and len(scales) > 0
        if not is_list or not all(
            isinstance(s, int | float) and not isinstance(s, bool) and s > 0 for s in scales
        ):
            raise ConfigError(
                "model.test_views.scales: expected factors > 0 as in (0.75, 1.0, 1.25), found "
                f"{scales!r}."
            )
        self.flip = flip
        self.scales = tuple(scales)

    def predict(
        self,
        forward: Callable[[Tensor], Tensor],
        unflip: Callable[[Tensor], Tensor],
        inputs: Tensor,
        patch_size: int,
    ) -> list[Tensor]:
        """Predicts all views, and undoes the mirroring.

        Args:
            forward: Maps images (B, 3, H, W) to raw output (B, C, h, w).
            unflip: Turns the raw output for mirrored images into that for the images.
            inputs: The batch (B, 3, H, W).
            patch_size: Of the network, in pixels.

        Returns:
            Float32 raw output (B, C, h, w) of each view, upright, each of its own resolution.
        """
        outputs = []
        for scale in self.scales:
            patches_hw = [max(round(n * scale / patch_size), 1) for n in inputs.shape[-2:]]
            size_hw = [n * patch_size for n in patches_hw]
            view = inputs
            if size_hw != list(inputs.shape[-2:]):
                view = F.interpolate(inputs, size_hw, mode="bilinear", antialias=True)
            outputs.append(forward(view).float())
            if self.flip:
                outputs.append(unflip(forward(view.flip(-1)).float()))
        return outputs


def mean_of_views(views: Sequence[Tensor], size_hw: tuple[int, int] | None = None) -> Tensor:
    """Averages raw outputs (..., C, h, w), resized bilinearly to ``size_hw``, or to the largest."""
    if len(views) == 1 and size_hw is None:
        return views[0]
    target_hw = size_hw or max((view.shape[-2], view.shape[-1]) for view in views)
    return torch.stack([resize_through(view, [target_hw]) for view in views]).mean(dim=0)


def resize_through(maps: Tensor, sizes_hw: Sequence[tuple[int, int]]) -> Tensor:
    """Resizes maps (B, C, h, w) bilinearly to each of ``sizes_hw``, one after the other."""
    for size_hw in sizes_hw:
        if tuple(maps.shape[-2:]) != tuple(size_hw):
            maps = F.interpolate(maps, tuple(size_hw), mode="bilinear")
    return maps
